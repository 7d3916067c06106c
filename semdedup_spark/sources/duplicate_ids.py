"""Rows with one id: which of them is taken, and which must say why they are not.

What only an encoder can tell is not known here. What it has said of earlier rows comes as their
``standing``; where nothing is known, the first row is taken, and others may follow it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s

ORDER = "__order"
# Which of the rows with its id, from 1.
COPY = "__copy"
# Whether a row that is not taken came before the one that is: an encoder says why.
AGAIN = "__again"
# Columns of a frame of (id, content_hash), and what ``STANDING`` may be.
STANDING, FRESH = "__standing", "__fresh"
KNOWN, UNKNOWN, REFUSED = 0, 1, 2


def numbered_copies(
    rows: DataFrame, number: Sequence[str], standing: DataFrame | None
) -> DataFrame:
    """Number rows with one id in the order in which they are taken. A good one comes first; of
    those one that is known to embed, and last those that an encoder has refused; then that of the
    earliest batch, and then the one that hashes lowest: the same on every run, however rows are
    spread.

    ``rows``: id, reason, content_hash, ``ORDER``, and the columns ``number``; ``standing``: (id,
    content_hash, ``STANDING``, ``FRESH``), each pair once: a row that is ``FRESH`` stands for rows
    that were tried before it. Returns ``rows`` with ``COPY`` and ``AGAIN``.
    """
    no_id, good = F.col(s.ID).isNull(), F.col(s.REASON).isNull()
    same_id = Window.partitionBy(s.ID, F.when(no_id, F.col(ORDER)))
    place = F.struct(*number, ORDER)
    if standing is None:
        order = same_id.orderBy(~good, *number, ORDER)
        return rows.withColumn(COPY, F.row_number().over(order)).withColumn(AGAIN, F.lit(False))
    known = rows.join(standing, [s.ID, s.CONTENT_HASH], "left")
    known = known.withColumn(STANDING, F.coalesce(STANDING, F.lit(UNKNOWN)))
    order = same_id.orderBy(~good, STANDING, *number, ORDER)
    taken = F.first(F.struct(place.alias("place"), FRESH)).over(order)
    copies = known.withColumn(COPY, F.row_number().over(order)).withColumn("__taken", taken)
    tried = (F.col(STANDING) == REFUSED) | (
        F.col(f"__taken.{FRESH}") & (place < F.col("__taken.place"))
    )
    again = good & (F.col(COPY) > 1) & F.coalesce(tried, F.lit(False))
    return copies.withColumn(AGAIN, again).drop(STANDING, FRESH, "__taken")


def contested(rows: DataFrame) -> DataFrame:
    """(id) of which there are several rows that an encoder may find good."""
    good = rows.filter(F.col(s.REASON).isNull())
    return good.groupBy(s.ID).count().filter("count > 1").select(s.ID)
