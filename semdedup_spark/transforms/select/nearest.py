"""The earlier row that each row may go for: the most similar one that shares what must agree."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.nearest_agreeing import Effort, nearest_agreeing
from semdedup_spark.transforms.select.threshold import is_above, removed_rows


@dataclass(frozen=True)
class Nearest:
    """The earlier row that each row may go for.

    Attributes
    ----------
    rows
        Columns id, neighbor_id, similarity and cluster_id, of rows that have such a row.
    differing
        Rows whose most similar earlier row of all does not agree, whether another one does or not:
        columns id, protected_from (that row), similarity (to it), value and other_value. ``None``
        if nothing must agree.
    unsearched
        How many of these were not compared with others, because that would cost too much. None of
        them is in ``rows``.
    """

    rows: DataFrame
    differing: DataFrame | None = None
    unsearched: int = 0


@dataclass(frozen=True)
class Agreeing:
    """What rows must share, and how a row is found that does.

    Attributes
    ----------
    values
        Columns id and value: a struct.
    embeddings
        Columns id and embedding.
    across
        Whether that row may lie in another cluster.
    effort
        How much the search may cost.
    """

    values: DataFrame
    embeddings: DataFrame
    across: bool
    effort: Effort = field(default_factory=Effort)


def nearest_rows(
    scores: DataFrame, agreeing: Agreeing | None, eps: float, review: float | None = None
) -> Nearest:
    """Find the earlier row that each row may go for. Runs Spark jobs if something must agree.

    The scores know the most similar earlier row. Where it does not agree, the row is compared with
    the earlier rows that do. So each row has the neighbor that it would have if only rows that
    agree with it were there. Where the search for all rows would cost too much, it is made for
    those above 1 - eps alone, so that ``review`` changes nothing for them.

    Parameters
    ----------
    scores
        The table of this name.
    agreeing
        What rows must share; ``None`` if nothing must agree.
    eps
        Only similarities above 1 - eps count.
    review
        A larger threshold, which then counts instead.

    Returns
    -------
    Nearest
        What was found.
    """
    near = removed_rows(scores, review or eps)
    if agreeing is None:
        return Nearest(near)
    values = agreeing.values
    others = values.select(F.col(s.ID).alias(s.NEIGHBOR_ID), F.col(s.VALUE).alias(s.OTHER_VALUE))
    both = held(near.join(values, s.ID).join(others, s.NEIGHBOR_ID))
    agree = F.col(s.VALUE).eqNullSafe(F.col(s.OTHER_VALUE))
    differing = both.filter(~agree).select(
        s.ID,
        F.col(s.NEIGHBOR_ID).alias(s.PROTECTED_FROM),
        s.SIMILARITY,
        s.VALUE,
        s.OTHER_VALUE,
    )
    same = both.filter(agree).select(*near.columns)
    wanted = differing.select(s.ID, s.SIMILARITY)
    n, left = differing.count(), 0
    found = _searched(scores, agreeing, wanted, review or eps) if n else None
    if n and found is None and review is not None:
        wanted = wanted.filter(is_above(s.SIMILARITY, eps))
        left = n - wanted.count()
        found = _searched(scores, agreeing, wanted, review) if left < n else None
    if found is None:
        return Nearest(same, differing, n)
    more = held(found).join(scores.select(s.ID, s.CLUSTER_ID), s.ID).select(*near.columns)
    return Nearest(same.unionByName(more), differing, left)


def _searched(
    scores: DataFrame, agreeing: Agreeing, wanted: DataFrame, eps: float
) -> DataFrame | None:
    """(id, neighbor_id, similarity) of wanted rows; ``None`` where it would cost too much."""
    value = F.col(s.VALUE) if agreeing.across else F.struct(s.VALUE, s.CLUSTER_ID)
    ranked = scores.select(s.ID, s.BATCH, s.RANK_KEY, s.CLUSTER_ID).join(agreeing.values, s.ID)
    return nearest_agreeing(
        wanted.select(s.ID),
        ranked.select(s.ID, s.BATCH, s.RANK_KEY, value.alias(s.VALUE)),
        agreeing.embeddings,
        eps,
        agreeing.effort,
    )
