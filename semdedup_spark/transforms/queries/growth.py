"""Which smaller corpora a row would be in: the first rows of a random order are a random sample."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s

# The smallest corpus is a 1,024th of all rows.
MOST_HALVINGS = 10
_KEYS = 2.0**64


def halvings() -> Column:
    """Tell how often the corpus can be halved so that a row of a random order is still in it.

    Returns
    -------
    Column
        int, 0 to ``MOST_HALVINGS``, from the column rank_key. There it is a hash, evenly spread
        over all numbers of 64 bits, so its value is the row's place in the order.
    """
    place = F.greatest((F.col(s.RANK_KEY).cast("double") + _KEYS / 2) / _KEYS, F.lit(1 / _KEYS))
    return F.least(F.floor(-F.log2(place)), F.lit(MOST_HALVINGS)).cast("int")


def batches(scores: DataFrame) -> DataFrame:
    """Count the batches of rows, which come one after the other in rank order.

    Parameters
    ----------
    scores
        Column batch.

    Returns
    -------
    DataFrame
        One row: ``batches``.
    """
    return scores.agg(F.count_distinct(s.BATCH).alias("batches"))
