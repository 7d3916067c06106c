"""A part of a table, described without naming an id.

Delta is told by SQL text which rows to replace. Spark replaces variables like ``${...}`` in such a
text, and the table's log keeps it readable for weeks. So it holds no value of the data. Rows are
named by the number of a bucket, a hash of the id; there are as many buckets as rows. Rows that
share a bucket with rows that change are written back as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark.schema import BATCH, ID


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
    """

    since: int | None = None
    n_buckets: int = 1
    buckets: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """The SQL that is true for its rows."""
        later = [] if self.since is None else [f"{BATCH} > {int(self.since)}"]
        numbers = ", ".join(str(int(number)) for number in self.buckets)
        shared = [f"{_bucket(self.n_buckets)} IN ({numbers})"] if numbers else []
        return " OR ".join([*later, *shared]) or "false"

    def of(self, rows: DataFrame) -> DataFrame:
        """Keep the rows that belong to the part.

        Parameters
        ----------
        rows
            Rows with the columns id and batch.

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
    found = ids.select(F.expr(_bucket(n)).alias("bucket")).distinct().collect()
    return Part(since, n, tuple(sorted(int(row["bucket"]) for row in found)))


def _bucket(n: int) -> str:
    return f"pmod(xxhash64({ID}), {int(n)})"
