"""How many rows each threshold keeps: exact counts, from a few aggregations over ``scores``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s

CELL = "cell"
GROUP = "group"
NEAREST = "nearest"
ROWS = "rows"


def order_statistics(scores: DataFrame, fractions: Sequence[float], n: int) -> DataFrame:
    """One row. ``quantiles``: for each fraction f the smallest M that at least f of the ``n`` rows
    do not exceed, n >= 1; ``below_one``: the largest M under 1, 0 where there is none.

    Spark's ``percentile`` interpolates between two rows, so it is asked at the rows themselves: M
    is a float32, which takes away the rounding of the position.
    """
    m = F.col(s.MAX_SIMILARITY)
    at = [(math.ceil(round(f * n, 9)) - 1) / max(n - 1, 1) for f in fractions]
    asked = F.percentile(m, [min(max(p, 0.0), 1.0) for p in at])
    below_one = F.coalesce(F.max(F.when(m < 1.0, m)).cast("double"), F.lit(0.0))
    exact = F.transform(asked, lambda value: value.cast("float").cast("double"))
    return scores.agg(exact.alias("quantiles"), below_one.alias("below_one"))


def cell_counts(
    rows: DataFrame, similarity: str, edges: Sequence[float], by: Column | None = None
) -> DataFrame:
    """``cell``, ``rows`` (and ``group``, the value of ``by``): how many rows have exactly ``cell``
    of the ascending ``edges`` strictly below their similarity. One aggregation for any number of
    thresholds: kept at eps are the rows in cells up to the place of 1 - eps among the edges.
    """
    cell = _cell(F.col(similarity).cast("double"), list(edges), 0).alias(CELL)
    keys = [cell] if by is None else [by.alias(GROUP), cell]
    return rows.groupBy(*keys).agg(F.count(F.lit(1)).alias(ROWS))


def _cell(value: Column, edges: list[float], below: int) -> Column:
    """Binary search as a tree of CASE expressions: log2(edges) comparisons a row."""
    if not edges:
        return F.lit(below)
    middle = len(edges) // 2
    above = _cell(value, edges[middle + 1 :], below + middle + 1)
    return F.when(value > edges[middle], above).otherwise(_cell(value, edges[:middle], below))


def nearest_known(scores: DataFrame) -> DataFrame:
    """id, ``nearest``: the highest similarity of a row to any row, as far as ``scores`` tells: its
    own M, and that of the later rows whose neighbor it is. Where it is > 1 - eps the row certainly
    has a duplicate at eps. A kept row can have one and not show it, where each of its later
    duplicates is even more similar to another row; so counts are lower bounds.
    """
    later = scores.filter(F.col(s.NEIGHBOR_ID).isNotNull())
    return nearest_of(scores, later.select(F.col(s.NEIGHBOR_ID).alias(s.ID), s.MAX_SIMILARITY))


def nearest_of(scores: DataFrame, later: DataFrame) -> DataFrame:
    """id, ``nearest``: the higher of a row's M and its ``max_similarity`` in ``later``, in which it
    may have any number of lines.
    """
    own, other = (df.select(s.ID, s.MAX_SIMILARITY) for df in (scores, later))
    return own.unionAll(other).groupBy(s.ID).agg(F.max(s.MAX_SIMILARITY).alias(NEAREST))
