"""What ``embeddings`` tells of a row's own columns, in place of the columns themselves."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.sources.candidate_rows import hash_of_columns
from semdedup_spark.transforms.score.rank_key import with_order

# The hashes that tell whether they changed. Outputs of release 0.2 have only the columns.
HASHES = (s.ROW_HASH, s.ORDER_HASH)
# All columns that may tell of them.
TELLING = (*HASHES, s.RANK_TERMS, s.SOURCE)


def with_identity(
    rows: DataFrame, content: str | None, rank_by: str, carried: Sequence[str]
) -> DataFrame:
    """Hash the own columns of rows, and evaluate what the order sees of them.

    Parameters
    ----------
    rows
        Columns source (a struct of the own columns) and ``carried``.
    content
        The column that content_hash covers; ``None`` where the source has none.
    rank_by
        The order.
    carried
        Columns to keep.

    Returns
    -------
    DataFrame
        Columns ``carried``, row_hash and order_hash; for an SQL order also rank_terms.
    """
    hashed = rows.withColumn(s.ROW_HASH, hash_of_columns(rows, content))
    return with_order(rank_by, hashed, [*carried, s.ROW_HASH])
