"""Which rows differ between the kept rows of two selections."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.checkpoint import held

_BEFORE, _NOW = "n_before", "n_now"
# What tells whether the own columns of a row changed: numbers of 64 bits.
_HASHES = {
    "content": s.CONTENT_HASH,
    "row_1": f"{s.ROW_HASH}.h1",
    "row_2": f"{s.ROW_HASH}.h2",
}
_MOST_BATCHES = 100


@dataclass(frozen=True)
class Differences:
    """The rows that differ, each once.

    Attributes
    ----------
    rows
        Columns id and batch, and how often the id is among the rows before, and now.
    come
        Number of rows that are kept now and were not before.
    gone
        Number of rows that are kept no longer.
    changed
        Number of rows that are kept as before and whose own columns changed.
    are_sound
        Whether each id is there at most once before, and once now.
    """

    rows: DataFrame
    come: int
    gone: int
    changed: int
    are_sound: bool

    @property
    def total(self) -> int:
        """Number of all rows that differ."""
        return self.come + self.gone + self.changed

    @property
    def ids(self) -> DataFrame:
        """Column id of all of them."""
        return self.rows.select(s.ID)

    @property
    def to_write(self) -> DataFrame:
        """Column id of those that are kept now."""
        return self.rows.filter(F.col(_NOW) > 0).select(s.ID)

    def batches(self) -> list[int] | None:
        """List the batches of the rows that are to be written. Runs one Spark job.

        Returns
        -------
        list[int] | None
            ``None`` where they are many.
        """
        found = self.rows.filter(F.col(_NOW) > 0).select(s.BATCH).distinct()
        batches = [int(row[0]) for row in found.limit(_MOST_BATCHES + 1).collect()]
        return batches if len(batches) <= _MOST_BATCHES else None


def kept_differences(before: DataFrame, now: DataFrame, known: DataFrame | None) -> Differences:
    """Compare the kept rows of two selections in one shuffle of ids and numbers.

    Parameters
    ----------
    before
        Column id of the rows that were kept.
    now
        The rows that are kept: columns id and batch, and the hashes of their columns where
        ``known`` is given.
    known
        Columns id and hashes of all rows at the time of the earlier selection. ``None`` where no
        row changed since.

    Returns
    -------
    Differences
        The rows that differ.
    """
    hashed = known is not None
    sides = _side(before, is_before=True).unionByName(_side(now, hashed=hashed, is_now=True))
    if known is not None:
        sides = sides.unionByName(_side(known, hashed=hashed))
    counted = sides.groupBy(s.ID).agg(
        F.sum(_BEFORE).alias(_BEFORE),
        F.sum(_NOW).alias(_NOW),
        F.max(s.BATCH).alias(s.BATCH),
        *(F.bit_xor(name).alias(name) for name in _HASHES),  # 0 where both sides are equal
    )
    # Of a row that was kept before, and is not known to have been as it is, this is true as well.
    differs = F.lit(False)
    for name in _HASHES:
        differs = differs | (F.col(name) != 0)
    was, is_now = F.col(_BEFORE), F.col(_NOW)
    found = (was != is_now) | (was > 1) | ((was > 0) & differs)
    rows = held(counted.filter(found).select(s.ID, s.BATCH, _BEFORE, _NOW))
    row = rows.agg(
        _number(was < is_now),
        _number(was > is_now),
        _number(was == is_now),
        _number((was > 1) | (is_now > 1)),
    ).first()
    come, gone, changed, doubled = (0, 0, 0, 1) if row is None else map(int, row)
    return Differences(rows, come, gone, changed, doubled == 0)


def _side(
    rows: DataFrame, *, hashed: bool = False, is_before: bool = False, is_now: bool = False
) -> DataFrame:
    columns = {
        _BEFORE: F.lit(int(is_before)),
        _NOW: F.lit(int(is_now)),
        s.BATCH: F.col(s.BATCH) if is_now else F.lit(None).cast("int"),
        **{n: F.col(of) if hashed else F.lit(0).cast("bigint") for n, of in _HASHES.items()},
    }
    return rows.select(s.ID, *(column.alias(name) for name, column in columns.items()))


def _number(flag: Column) -> Column:
    return F.coalesce(F.sum(flag.cast("int")), F.lit(0))
