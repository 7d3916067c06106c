"""How many rows each threshold keeps: exact counts, from a few aggregations over ``scores``."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.quotas import least_rows

CELL = "cell"
GROUP = "group"
NEAREST = "nearest"
ROWS = "rows"


def order_statistics(scores: DataFrame, fractions: Sequence[float], n: int) -> DataFrame:
    """Find quantiles of the similarity M that are values of rows.

    Parameters
    ----------
    scores
        Column max_similarity.
    fractions
        Fractions of the rows, 0 to 1.
    n
        Number of rows, at least 1.

    Returns
    -------
    DataFrame
        One row. ``quantiles``: for each fraction f the smallest M that at least f of the rows do
        not exceed. ``below_one``: the largest M under 1, 0 if there is none.

    Notes
    -----
    Spark's ``percentile`` interpolates between two rows. It is therefore asked at the positions of
    rows, and the cast of M to float32 removes the rounding of the position.
    """
    m = F.col(s.MAX_SIMILARITY)
    at = [(least_rows(f, n) - 1) / max(n - 1, 1) for f in fractions]
    asked = F.percentile(m, [min(max(p, 0.0), 1.0) for p in at])
    below_one = F.coalesce(F.max(F.when(m < 1.0, m)).cast("double"), F.lit(0.0))
    exact = F.transform(asked, lambda value: value.cast("float").cast("double"))
    return scores.agg(exact.alias("quantiles"), below_one.alias("below_one"))


def cell_counts(
    rows: DataFrame, similarity: str, edges: Sequence[float], by: Column | None = None
) -> DataFrame:
    """Count rows between thresholds, for any number of thresholds in one aggregation.

    Parameters
    ----------
    rows
        The column ``similarity``, and those that ``by`` needs.
    similarity
        Name of a column.
    edges
        Thresholds in ascending order.
    by
        Value to count by; by default all rows are counted together.

    Returns
    -------
    DataFrame
        Columns ``cell`` and ``rows``, and ``group`` with the value of ``by``. A row is in the cell
        of the number of edges that lie strictly below its similarity. Kept at eps are the rows in
        cells up to the position of 1 - eps among the edges.
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
    """Find the highest similarity of each row to any row, as far as scores tell.

    A row's own M counts, and the M of later rows whose neighbor it is. A row with a value greater
    than 1 - eps certainly has a duplicate at eps. A kept row can have a duplicate and not show it,
    if each of its later duplicates is even more similar to another row: counts are lower bounds.

    Parameters
    ----------
    scores
        The table of this name.

    Returns
    -------
    DataFrame
        Columns id and ``nearest``.
    """
    later = scores.filter(F.col(s.NEIGHBOR_ID).isNotNull())
    return nearest_of(scores, later.select(F.col(s.NEIGHBOR_ID).alias(s.ID), s.MAX_SIMILARITY))


def nearest_of(scores: DataFrame, later: DataFrame) -> DataFrame:
    """Find the highest similarity of each row to any row.

    Parameters
    ----------
    scores
        The table of this name.
    later
        Columns id and max_similarity, to rows that rank later; any number of lines a row.

    Returns
    -------
    DataFrame
        Columns id and ``nearest``, the higher of a row's M and its similarities in ``later``.
    """
    own, other = (df.select(s.ID, s.MAX_SIMILARITY) for df in (scores, later))
    return own.unionAll(other).groupBy(s.ID).agg(F.max(s.MAX_SIMILARITY).alias(NEAREST))
