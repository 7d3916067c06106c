"""The rows that clusters are trained on, and how they are chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s

_SHARES = 2**20


@dataclass(frozen=True)
class Sample:
    """Rows to train on.

    Attributes
    ----------
    rows
        Columns id, embedding, and others.
    n
        Number of rows.
    dimension
        Numbers in a vector.
    task_rows
        Most rows that a task may hold.
    """

    rows: DataFrame
    n: int
    dimension: int
    task_rows: int

    def part(self, n: int, seed: int) -> Sample:
        """Choose some of the rows.

        Parameters
        ----------
        n
            Number of rows to choose; about as many are chosen.
        seed
            Seed of the hash that chooses.

        Returns
        -------
        Sample
            The chosen rows.
        """
        share = min(1.0, n / max(self.n, 1))
        return replace(self, rows=sample_rows(self.rows, share, seed), n=min(n, self.n))


def sample_rows(rows: DataFrame, share: float, seed: int) -> DataFrame:
    """Choose rows by a hash of the id: the same rows each time.

    Parameters
    ----------
    rows
        Column id and others.
    share
        Share of the rows, greater than 0, at most 1.
    seed
        Seed of the hash.

    Returns
    -------
    DataFrame
        About ``share`` of the rows.
    """
    if share >= 1.0:
        return rows
    position = F.pmod(F.xxhash64(F.lit(seed), F.col(s.ID)), F.lit(_SHARES))
    return rows.filter(position < int(share * _SHARES))


def count_contents(rows: DataFrame) -> tuple[int, int]:
    """Count rows and contents. More clusters than contents would stay empty.

    Parameters
    ----------
    rows
        Column content_hash.

    Returns
    -------
    tuple[int, int]
        Number of rows, and number of different contents.
    """
    row = rows.agg(F.count(F.lit(1)), F.count_distinct(s.CONTENT_HASH)).first()
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)
