"""The earlier row that each row may go for: the most similar one, if it shares what must agree."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.threshold import removed_rows


@dataclass(frozen=True)
class Nearest:
    """The earlier row that each row may go for.

    Attributes
    ----------
    rows
        Columns id, neighbor_id, similarity and cluster_id, of rows that have such a row.
    differing
        Rows whose most similar earlier row is another one, because it does not agree: columns id,
        protected_from (that row), similarity (to it), value and other_value. ``None`` if nothing
        must agree.
    """

    rows: DataFrame
    differing: DataFrame | None = None


def nearest_rows(scores: DataFrame, values: DataFrame | None, eps: float) -> Nearest:
    """Find the earlier row that each row may go for.

    Parameters
    ----------
    scores
        The table of this name.
    values
        Columns id and value, which rows must share; ``None`` if nothing must agree.
    eps
        Only similarities above 1 - eps count.

    Returns
    -------
    Nearest
        What was found.
    """
    near = removed_rows(scores, eps)
    if values is None:
        return Nearest(near)
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
    return Nearest(both.filter(agree).select(*near.columns), differing)
