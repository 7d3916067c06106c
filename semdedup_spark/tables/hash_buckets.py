"""A part of a table, said without an id of it.

What Delta is told to replace is SQL text, in which Spark puts variables in the place of ``${...}``,
and which the table's log keeps readable for weeks. So no value of the data stands in it: rows are
named by the number of a bucket, a hash of the id, of which there are as many as rows. The rows that
share a bucket with others that change are written back as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark.schema import BATCH, ID


@dataclass(frozen=True)
class Part:
    """Rows of batches after ``since``, if that is given, and those in ``buckets`` of ``n_buckets``:
    whole numbers and nothing else.
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
        """Those of ``rows`` that lie in it."""
        return rows.filter(self.where)


def part_with(ids: DataFrame, n_rows: int, *, since: int | None = None) -> Part:
    """The part of a table of ``n_rows`` that holds the rows with these few ``ids`` (column id, of
    the table's own type). Runs one Spark job.
    """
    n = max(1, n_rows)
    found = ids.select(F.expr(_bucket(n)).alias("bucket")).distinct().collect()
    return Part(since, n, tuple(sorted(int(row["bucket"]) for row in found)))


def _bucket(n: int) -> str:
    return f"pmod(xxhash64({ID}), {int(n)})"
