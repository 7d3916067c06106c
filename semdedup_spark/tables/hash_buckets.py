"""A part of a table, described without naming an id.

Delta is told by SQL text which rows to replace. Spark replaces variables like ``${...}`` in such a
text, and the table's log keeps it readable for weeks. So it holds no value of the data. Rows are
named by the number of a bucket, a hash of the id; there are as many buckets as rows. Rows that
share a bucket with rows that change are written back as they are. Where a reader of the table's
changes would see these, there are as many buckets as there can be.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark.schema import BATCH, ID, quoted

# Almost no two ids share one of so many buckets.
_MOST_BUCKETS = 2**63 - 1


@dataclass(frozen=True)
class Part:
    """Some rows of a table, described by whole numbers and nothing else.

    Attributes
    ----------
    since
        All rows of later batches than this one belong to the part; none do if ``None``.
    n_buckets
        Number of buckets over which ids are hashed.
    buckets
        Numbers of the buckets whose rows belong to the part, each in [0, ``n_buckets``).
    column
        The column of the ids.
    """

    since: int | None = None
    n_buckets: int = 1
    buckets: tuple[int, ...] = ()
    column: str = ID

    @property
    def where(self) -> str:
        """The SQL that is true for its rows."""
        later = [] if self.since is None else [f"{BATCH} > {int(self.since)}"]
        numbers = ", ".join(str(int(number)) for number in self.buckets)
        bucket = _bucket(self.column, self.n_buckets)
        shared = [f"{bucket} IN ({numbers})"] if numbers else []
        return " OR ".join([*later, *shared]) or "false"

    def of(self, rows: DataFrame) -> DataFrame:
        """Keep the rows that belong to the part.

        Parameters
        ----------
        rows
            Rows with the column of the ids, and with batch where ``since`` is given.

        Returns
        -------
        DataFrame
            Some of them, with the same columns.
        """
        return rows.filter(self.where)


def part_with(ids: DataFrame, n_rows: int, *, since: int | None = None) -> Part:
    """Find a part of a table that holds some rows. Runs one Spark job.

    Parameters
    ----------
    ids
        The few ids of these rows: column id, in the table's own type.
    n_rows
        Number of rows of the table.
    since
        All rows of later batches than this one belong to the part as well; none do if ``None``.

    Returns
    -------
    Part
        It may hold other rows, too.
    """
    n = max(1, n_rows)
    return Part(since, n, _buckets(ids, ID, n))


def narrow_part(ids: DataFrame, column: str) -> Part:
    """Find a part of a table that holds some rows, and hardly any other row. Runs one Spark job.

    Parameters
    ----------
    ids
        The few ids of these rows, in the table's own type: the column ``column``.
    column
        The column of the ids, whose name Spark must not change in SQL text.

    Returns
    -------
    Part
        Rows whose ids have the same hash of 64 bits belong to it, too.
    """
    return Part(None, _MOST_BUCKETS, _buckets(ids, column, _MOST_BUCKETS), column)


def _buckets(ids: DataFrame, column: str, n: int) -> tuple[int, ...]:
    found = ids.select(F.expr(_bucket(column, n)).alias("bucket")).distinct().collect()
    return tuple(sorted(int(row["bucket"]) for row in found))


def _bucket(column: str, n: int) -> str:
    name = column if column == ID else quoted(column)
    return f"pmod(xxhash64({name}), {int(n)})"
