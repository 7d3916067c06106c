"""Choose one row of each id, and find the rows whose refusal must be recorded.

Only an encoder can tell whether a row is good. What it has said of earlier rows comes in as
``standing``. Where nothing is known, the first row is taken. A later one takes its place if the
encoder refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s

# Hash of the whole row. It orders rows of one id in the same way on every run.
ORDER = "__order"
# Number of the row among those with its id, from 1.
COPY = "__copy"
# Whether a row that is not taken was tried before the one that is taken. Its payload goes to the
# encoder again, which says why it was refused.
AGAIN = "__again"
# Columns of the DataFrame ``standing``, beside id and content_hash, and the values of ``STANDING``.
STANDING, FRESH = "__standing", "__fresh"
KNOWN, UNKNOWN, REFUSED = 0, 1, 2


def numbered_copies(
    rows: DataFrame, number: Sequence[str], standing: DataFrame | None
) -> DataFrame:
    """Number the rows of each id in the order in which they are taken.

    Rows without a reason come first. Among them, rows known to embed precede unknown ones, and
    rows that an encoder has refused come last. Ties go to the earliest batch, then to the lowest
    hash. So the order is the same on every run, whatever the partitioning.

    Parameters
    ----------
    rows
        Columns id, reason, content_hash, ``ORDER`` and ``number``.
    number
        Name of the batch column, or nothing.
    standing
        Columns id, content_hash, ``STANDING`` and ``FRESH`` (bool: the row was taken after the
        rows that precede it had been refused). Each pair of id and content_hash occurs once.
        ``None`` if nothing is known.

    Returns
    -------
    DataFrame
        ``rows`` with ``COPY`` (int, from 1) and ``AGAIN`` (bool).
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
    """Find the ids for which several rows may be good.

    Parameters
    ----------
    rows
        Columns id and reason.

    Returns
    -------
    DataFrame
        Column id. Each has at least two rows without a reason.
    """
    good = rows.filter(F.col(s.REASON).isNull())
    return good.groupBy(s.ID).count().filter("count > 1").select(s.ID)
