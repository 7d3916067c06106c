"""Which rows are removed, and which row stands for each: three resolutions.

They respect overrides and agreements. Each takes a :class:`Case` and returns a :class:`Resolved`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.components import COMPONENT, OTHER, connected_components
from semdedup_spark.transforms.select.cover import GROUP, SURE, cover_groups
from semdedup_spark.transforms.select.nearest import Nearest
from semdedup_spark.transforms.select.survivors import with_survivors
from semdedup_spark.transforms.select.threshold import (
    explained_rows,
    is_above,
    is_removed,
    removed_rows,
)

_RANK = (s.BATCH, s.RANK_KEY, s.ID)
_HEAD = "head"
_FORCED = "forced"


@dataclass(frozen=True)
class Case:
    """What is to be decided.

    Attributes
    ----------
    scores
        The table of this name.
    embeddings
        The table of this name.
    eps
        The threshold.
    across
        Whether a neighbor may lie in another cluster.
    links
        Makes edges (id, other) between pairs above 1 - eps, which connect what such pairs connect.
    nearest
        Finds the earlier row that each row may go for, at least where it is above 1 - eps.
    overrides
        Columns id and action, ``None`` if there are none.
    values
        Columns id and value, which rows must share; ``None`` if nothing must agree.
    chains
        Whether a neighbor may itself be removed. Otherwise it is a row of a reference, and may have
        the id of another row.
    """

    scores: DataFrame
    embeddings: DataFrame
    eps: float
    across: bool
    links: Callable[[], DataFrame]
    nearest: Callable[[], Nearest]
    overrides: DataFrame | None = None
    values: DataFrame | None = None
    chains: bool = True

    def ids(self, action: str) -> DataFrame:
        """List the rows with an override.

        Parameters
        ----------
        action
            The override.

        Returns
        -------
        DataFrame
            Column id.
        """
        if self.overrides is None:
            return self.scores.select(s.ID).limit(0)
        return self.overrides.filter(F.col(s.ACTION) == action).select(s.ID)


@dataclass(frozen=True)
class Resolved:
    """What was decided.

    Attributes
    ----------
    removed
        Columns id, neighbor_id, similarity, cluster_id, survivor_id and reason.
    protected
        Rows that an agreement saved, ``None`` if nothing must agree.
    """

    removed: DataFrame
    protected: DataFrame | None


def resolve_paper(case: Case) -> Resolved:
    """Remove every row above the threshold; its survivor is where its neighbors lead.

    Parameters
    ----------
    case
        What is to be decided.

    Returns
    -------
    Resolved
        What was decided.

    References
    ----------
    SemDeDup, Abbas et al. 2023, arXiv:2303.09540.
    """
    automatic, protected = _automatic(case)
    followed = with_survivors(automatic, across=case.across, chains=case.chains)
    if case.overrides is None:
        return Resolved(followed.withColumn(s.REASON, F.lit(s.BY_SIMILARITY)), protected)
    followed = held(followed)
    lost = held(case.ids(s.REMOVE).join(followed, s.ID, "left_anti"))
    if case.chains:
        followed = _with_heirs(case, followed, lost)
    return Resolved(_with_forced(case, followed, lost), protected)


def resolve_cover(case: Case) -> Resolved:
    """Remove a row only if a row that stays is itself above the threshold: greedy in rank order.

    Rows that the paper's rule keeps stay, and a row whose survivor covers it is removed. Only the
    other rows are decided anew, in rank order, against the rows of their component.

    Parameters
    ----------
    case
        What is to be decided.

    Returns
    -------
    Resolved
        What was decided.
    """
    automatic, protected = _automatic(case)
    followed = held(with_survivors(automatic, across=case.across))
    lost = held(case.ids(s.REMOVE).join(followed, s.ID, "left_anti"))
    named = followed.withColumn(s.REASON, F.lit(s.BY_SIMILARITY))
    measured = explained_rows(named, case.embeddings, case.eps)
    orphaned = measured.join(lost.select(F.col(s.ID).alias(s.SURVIVOR_ID)), s.SURVIVOR_ID, "semi")
    open_rows = measured.filter(~F.col(s.COVERED)).select(s.ID).union(orphaned.select(s.ID))
    open_rows = held(open_rows.distinct().join(case.ids(s.REMOVE), s.ID, "left_anti"))
    if open_rows.limit(1).count():
        decided = held(cover_groups(_groups(case, followed, open_rows), case.eps))
        found = decided.select(s.ID, F.col(s.SURVIVOR_ID).alias(OTHER), F.lit(True).alias("anew"))
        both = followed.join(found, s.ID, "left")
        both = both.filter(F.col("anew").isNull() | F.col(OTHER).isNotNull())
        survivor = F.coalesce(OTHER, s.SURVIVOR_ID)
        followed = both.withColumn(s.SURVIVOR_ID, survivor).drop(OTHER, "anew")
    return Resolved(_with_forced(case, followed, lost), protected)


def _groups(case: Case, followed: DataFrame, open_rows: DataFrame) -> DataFrame:
    """What :func:`cover_groups` takes: the components that hold an open row, without the rows that
    are known to go.
    """
    members = _components(case, case.nearest().rows.filter(is_above(s.SIMILARITY, case.eps)))
    key: Column = F.col(COMPONENT)
    if case.values is not None:  # of all that share a component and a value, the first id
        key = F.min(s.ID).over(Window.partitionBy(COMPONENT, s.VALUE))
    members = held(members.select(s.ID, key.alias(GROUP)))
    here = members.join(members.join(open_rows, s.ID).select(GROUP).distinct(), GROUP)
    gone = followed.select(s.ID).union(case.ids(s.REMOVE)).join(open_rows, s.ID, "left_anti")
    is_open = open_rows.select(s.ID, F.lit(False).alias("open"))
    rows = here.join(gone, s.ID, "left_anti").join(is_open, s.ID, "left")
    rows = rows.withColumn(SURE, F.coalesce("open", F.lit(True))).drop("open")
    ranked = rows.join(case.scores.select(s.ID, s.BATCH, s.RANK_KEY), s.ID)
    return ranked.join(case.embeddings.select(s.ID, s.EMBEDDING), s.ID)


def resolve_components(case: Case) -> Resolved:
    """Keep the first row, in rank order, of each connected component and of each value in it.

    Parameters
    ----------
    case
        What is to be decided.

    Returns
    -------
    Resolved
        What was decided.
    """
    forced = case.ids(s.REMOVE).select(s.ID, F.lit(True).alias(_FORCED))
    nodes = _components(case, removed_rows(case.scores, case.eps))
    nodes = nodes.join(case.scores, s.ID).join(forced, s.ID, "left")
    nodes = held(nodes.withColumn(_FORCED, F.coalesce(_FORCED, F.lit(False))))
    within = [COMPONENT, *([s.VALUE] if case.values is not None else [])]
    # A row that is removed in any case stands for others only where nobody else can.
    first = F.min(F.struct(_FORCED, *_RANK)).alias(_HEAD)
    heads = nodes.groupBy(*within).agg(first)
    agrees = [F.col(f"nodes.{c}").eqNullSafe(F.col(f"heads.{c}")) for c in within]
    joined = nodes.alias("nodes").join(heads.alias("heads"), agrees).select("nodes.*", _HEAD)
    # Nobody stands for a row that would be the first if it were not removed.
    earlier = F.struct(*(F.col(f"{_HEAD}.{c}") for c in _RANK)) < F.struct(*_RANK)
    stands = ~F.col(f"{_HEAD}.{_FORCED}") & earlier
    survivor = F.when(stands, F.col(f"{_HEAD}.{s.ID}"))
    rows = joined.withColumn(s.SURVIVOR_ID, survivor)
    is_head = F.col(s.ID) == F.col(f"{_HEAD}.{s.ID}")
    removed = rows.filter(~is_head & ~F.col(_FORCED)).join(case.ids(s.KEEP), s.ID, "left_anti")
    by = F.when(is_removed(case.eps), s.BY_SIMILARITY).otherwise(s.BY_COMPONENT)
    named = _as_removed(removed.withColumn(s.REASON, by))
    if case.overrides is not None:
        withdrawn = rows.filter(F.col(_FORCED)).withColumn(s.REASON, F.lit(s.BY_OVERRIDE))
        named = named.unionByName(_as_removed(withdrawn))
        alone = case.ids(s.REMOVE).join(nodes, s.ID, "left_anti")
        named = named.unionByName(_forced(case, alone))
    return Resolved(named, _saved_in_components(case, nodes))


def _saved_in_components(case: Case, nodes: DataFrame) -> DataFrame | None:
    """First rows of a value in their component that are not the component's first."""
    if case.values is None:
        return None
    able = nodes.filter(~F.col(_FORCED))
    rank = F.struct(*_RANK).alias("rank")
    first = able.groupBy(COMPONENT, s.VALUE).agg(F.min(rank).alias("own"))
    whole = able.groupBy(COMPONENT).agg(F.min(F.struct(rank, s.VALUE)).alias("of"))
    saved = first.join(whole, COMPONENT).filter(F.col("own") != F.col("of.rank"))
    return saved.select(
        F.col(f"own.{s.ID}").alias(s.ID),
        F.col(f"of.rank.{s.ID}").alias(s.PROTECTED_FROM),
        s.VALUE,
        F.col(f"of.{s.VALUE}").alias(s.OTHER_VALUE),
    ).join(case.ids(s.KEEP), s.ID, "left_anti")


def _components(case: Case, known: DataFrame) -> DataFrame:
    """(id, component[, value]) of all rows with a pair above the threshold."""
    # What is known is added: its products may differ from the units' in the last bit.
    known = known.select(s.ID, F.col(s.NEIGHBOR_ID).alias(OTHER))
    labels = connected_components(case.links().unionByName(known))
    return labels if case.values is None else labels.join(case.values, s.ID)


def _automatic(case: Case) -> tuple[DataFrame, DataFrame | None]:
    """(what the threshold removes, what an agreement saves), without rows to be kept."""
    nearest, above = case.nearest(), is_above(s.SIMILARITY, case.eps)
    removed = nearest.rows.filter(above)
    saved = None if nearest.differing is None else nearest.differing.filter(above)
    if case.overrides is not None:
        removed = removed.join(case.ids(s.KEEP), s.ID, "left_anti")
    if saved is None:
        return removed, None
    for others in (removed, *([case.overrides] if case.overrides is not None else [])):
        saved = saved.join(others.select(s.ID), s.ID, "left_anti")
    return removed, saved.select(s.ID, s.PROTECTED_FROM, s.VALUE, s.OTHER_VALUE)


def _with_heirs(case: Case, followed: DataFrame, lost: DataFrame) -> DataFrame:
    """Where the survivor is ``lost`` (id), the first row of its group stays in its place."""
    forced = case.ids(s.REMOVE)
    of_lost = lost.select(F.col(s.ID).alias(s.SURVIVOR_ID))
    able = followed.join(of_lost, s.SURVIVOR_ID, "semi").join(forced, s.ID, "left_anti")
    ranked = able.select(s.ID, s.SURVIVOR_ID).join(case.scores.select(*_RANK), s.ID)
    heirs = ranked.groupBy(s.SURVIVOR_ID).agg(F.min(F.struct(*_RANK)).alias(_HEAD))
    heirs = heirs.select(s.SURVIVOR_ID, F.col(f"{_HEAD}.{s.ID}").alias(_HEAD))
    both = followed.join(heirs, s.SURVIVOR_ID, "left")
    both = both.filter(F.col(_HEAD).isNull() | (F.col(_HEAD) != F.col(s.ID)))
    return both.withColumn(s.SURVIVOR_ID, F.coalesce(_HEAD, s.SURVIVOR_ID)).drop(_HEAD)


def _with_forced(case: Case, followed: DataFrame, lost: DataFrame) -> DataFrame:
    """With reasons, and with the rows that only an override removes: ``lost`` (id)."""
    if case.overrides is None:
        return followed.withColumn(s.REASON, F.lit(s.BY_SIMILARITY))
    forced = case.ids(s.REMOVE).select(s.ID, F.lit(s.BY_OVERRIDE).alias(s.REASON))
    rows = followed.join(forced, s.ID, "left")
    rows = rows.withColumn(s.REASON, F.coalesce(s.REASON, F.lit(s.BY_SIMILARITY)))
    if case.chains:
        of_lost = lost.select(F.col(s.ID).alias(s.SURVIVOR_ID), F.lit(True).alias("is_lost"))
        rows = rows.join(of_lost, s.SURVIVOR_ID, "left")
        still = F.when(F.col("is_lost").isNull(), F.col(s.SURVIVOR_ID))
        rows = rows.withColumn(s.SURVIVOR_ID, still)
    return _as_removed(rows, ready=True).unionByName(_forced(case, lost))


def _forced(case: Case, ids: DataFrame) -> DataFrame:
    """Rows that only an override removes; nobody stands for them."""
    nobody = F.lit(None).cast(case.scores.schema[s.ID].dataType).alias(s.SURVIVOR_ID)
    rows = case.scores.join(ids, s.ID, "semi").select("*", nobody)
    return _as_removed(rows.withColumn(s.REASON, F.lit(s.BY_OVERRIDE)))


def _as_removed(rows: DataFrame, *, ready: bool = False) -> DataFrame:
    similarity = s.SIMILARITY if ready else F.col(s.MAX_SIMILARITY).alias(s.SIMILARITY)
    return rows.select(s.ID, s.NEIGHBOR_ID, similarity, s.CLUSTER_ID, s.SURVIVOR_ID, s.REASON)
