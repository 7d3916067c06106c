"""Kept rows beyond the threshold that people may judge, and those that people said go."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.resolve import Case
from semdedup_spark.transforms.select.survivors import with_survivors

_GONE, _FURTHER = "gone", "further"


def rows_between(case: Case, removed: DataFrame) -> DataFrame:
    """List kept rows whose nearest earlier row is similar enough for a second, larger threshold.

    Parameters
    ----------
    case
        What was decided. Its nearest rows reach as far as that threshold.
    removed
        Columns id and survivor_id: what is removed.

    Returns
    -------
    DataFrame
        Columns id, neighbor_id, similarity, cluster_id and survivor_id: the kept row that stands
        for the neighbor, and would stand for the row. Rows that people keep are not among them, nor
        those whose neighbor only an override removed: no row would stand for them. Nor are rows
        that stand for their own neighbor, as they do where an override removed the row before.
    """
    near = case.nearest().rows
    stays = near.join(removed.select(s.ID), s.ID, "left_anti")
    stays = stays.join(case.ids(s.KEEP), s.ID, "left_anti")
    if not case.chains:
        return stays.withColumn(s.SURVIVOR_ID, F.col(s.NEIGHBOR_ID))
    standing = removed.select(
        F.col(s.ID).alias(s.NEIGHBOR_ID),
        F.col(s.SURVIVOR_ID).alias(_FURTHER),
        F.lit(1).alias(_GONE),
    )
    survivor = F.when(F.col(_GONE).isNull(), F.col(s.NEIGHBOR_ID)).otherwise(F.col(_FURTHER))
    rows = stays.join(standing, s.NEIGHBOR_ID, "left").withColumn(s.SURVIVOR_ID, survivor)
    another = F.col(s.SURVIVOR_ID) != F.col(s.ID)  # null where no row stands
    return rows.filter(another).select(*near.columns, s.SURVIVOR_ID)


def with_confirmed(case: Case, removed: DataFrame, pairs: DataFrame) -> DataFrame | None:
    """Remove the rows between the thresholds that people called duplicates of their survivors.

    Parameters
    ----------
    case
        What was decided.
    removed
        Columns as of :class:`~transforms.select.resolve.Resolved`.
    pairs
        Columns id and survivor_id, each pair once: what people said.

    Returns
    -------
    DataFrame | None
        ``removed`` and these rows. The row that stands for such a row stands also for all rows that
        this one stood for. ``None`` where there is no such row.
    """
    keys = [s.ID, s.SURVIVOR_ID]
    chosen = held(rows_between(case, removed).join(pairs.select(*keys), keys, "semi"))
    if not chosen.limit(1).count():
        return None
    more = chosen.withColumn(s.REASON, F.lit(s.BY_VERDICT))
    if case.chains:  # a survivor may itself be one of these rows
        links = chosen.withColumn(s.NEIGHBOR_ID, F.col(s.SURVIVOR_ID)).drop(s.SURVIVOR_ID)
        ends = held(with_survivors(links, across=True).select(*keys))
        more = more.drop(s.SURVIVOR_ID).join(ends, s.ID)
        further = ends.select(
            F.col(s.ID).alias(s.SURVIVOR_ID), F.col(s.SURVIVOR_ID).alias(_FURTHER)
        )
        moved = removed.join(further, s.SURVIVOR_ID, "left")
        survivor = F.coalesce(_FURTHER, s.SURVIVOR_ID)
        removed = moved.withColumn(s.SURVIVOR_ID, survivor).select(*removed.columns)
    return held(removed.unionByName(more.select(*removed.columns)))
