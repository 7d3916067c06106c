"""Scores of new rows, and of rows whose neighbor is gone: the others keep theirs.

The batch number leads the rank order, so a new row never ranks before an old one and no old score
changes with it. A row that is taken away changes only those whose neighbor it was. Hence ``scores``
become what scoring everything would make them, for the price of the rows that are *targets*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import ScoreConfig
from semdedup_spark.kernels.score.borders import Probing
from semdedup_spark.kernels.score.partition_keys import partition_keys
from semdedup_spark.kernels.score.unit_plan import UnitPlan, one_unit, plan_units
from semdedup_spark.pipeline.stages.compare_settings import clusters, probing_of, shipped, tasks
from semdedup_spark.pipeline.stages.embed.source_changes import FEW
from semdedup_spark.tables.hash_buckets import Part, part_with
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.cluster.centroid_rows import rows_in_clusters
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource
from semdedup_spark.transforms.score.compare_broadcast import can_be_sent, collect_targets, visited
from semdedup_spark.transforms.score.packed_rows import LABEL, TARGET
from semdedup_spark.transforms.score.route import Routing
from semdedup_spark.transforms.score.survey import visited_clusters

# Where all targets are compared with all rows: at least so many units, for as many tasks.
_FEWEST_PARTS = 16
_MOST_MET = 0.5
# So many ids can be sent to every task, with what is known of their rows.
_MOST_IDS = 2_000_000


@dataclass(frozen=True)
class Changes:
    """What happened since batch ``since``, up to which rows were scored.

    ``n_before``: rows that are still there; ``n_gone``: rows that left; ``n_left``: rows that lost
    their neighbor, which are scored again; ``gone``, ``left``: their ids, where there are any;
    ``part``: the rows of ``scores`` to be replaced; ``None`` where they are too many.
    """

    since: int
    n_before: int
    n_gone: int
    n_left: int
    gone: DataFrame | None = None
    left: DataFrame | None = None
    part: Part | None = None

    def n_targets(self, n: int) -> int:
        """Rows that must be scored, of ``n`` that there are now."""
        return n - self.n_before + self.n_left

    def with_target(self, embeddings: DataFrame) -> DataFrame:
        """The rows, and whether each must be scored."""
        is_new = F.col(s.BATCH) > self.since
        if self.left is None:
            return embeddings.withColumn(TARGET, is_new)
        left = F.broadcast(self.left.withColumn(TARGET, F.lit(True)))
        flag = is_new | F.coalesce(F.col(TARGET), F.lit(False))
        return embeddings.join(left, s.ID, "left").withColumn(TARGET, flag)

    def kept(self, scores: DataFrame) -> DataFrame:
        """The rows of ``scores`` that stay as they are."""
        kept = scores.filter(F.col(s.BATCH) <= self.since)
        for some in (self.gone, self.left):
            kept = kept if some is None else kept.join(some, s.ID, "left_anti")
        return kept.select(*scores.columns)

    def beside(self, scores: DataFrame) -> DataFrame | None:
        """Of these, those that lie in ``part``; ``None`` where there is none."""
        if self.part is None or not self.part.buckets:
            return None
        return self.part.of(self.kept(scores))


def find_changes(
    embeddings: DataFrame, scores: DataFrame, since: int, *, among_themselves: bool = True
) -> Changes | None:
    """``scores``: of the rows that ``embeddings`` had when ``since`` was its last batch;
    ``among_themselves``: whether their neighbors are such rows too. ``None`` where rows came that
    claim to have been there: no score is of use.
    """
    before = embeddings.filter(F.col(s.BATCH) <= since).select(s.ID, s.BATCH)
    (n_before, content), (n_scores, scored) = _content(before), _content(scores)
    if (n_before, content) == (n_scores, scored):
        return Changes(since, n_before, 0, 0, part=Part(since))
    few = n_scores - n_before <= FEW
    gone = scores.join(before, [s.ID, s.BATCH], "left_anti").select(s.ID)
    gone = held(gone) if few else gone
    n_gone, left, n_left = gone.count(), None, 0
    if n_gone != n_scores - n_before:
        return None
    if among_themselves:
        lost = gone.select(F.col(s.ID).alias(s.NEIGHBOR_ID))
        left = scores.join(gone, s.ID, "left_anti").join(lost, s.NEIGHBOR_ID, "left_semi")
        left = held(left.select(s.ID)) if few else left.select(s.ID)
        n_left = left.count()
    part = None
    if n_gone + n_left <= FEW:
        both = gone if left is None else gone.unionByName(left)
        part = part_with(both, n_scores, since=since)
    return Changes(since, n_before, n_gone, n_left, gone, left, part)


def _content(rows: DataFrame) -> tuple[int, int | None]:
    """How many there are, and a number that tells which, by id and batch."""
    number = F.col(s.BATCH).cast("int")
    row = rows.agg(F.count(F.lit(1)), F.bit_xor(F.xxhash64(s.ID, number))).first()
    return (0, None) if row is None else (int(row[0]), row[1])


def plan_changes(
    rows: DataFrame,
    centroids: DataFrame,
    scores: DataFrame,
    settings: ScoreConfig,
    n_targets: int,
) -> Routing:
    """How the targets among ``rows`` (embeddings with the column target), ``n_targets``, meet the
    others, whose clusters ``scores`` tells.
    """
    source = shipped(centroids)
    sizes = rows_in_clusters(scores, source.n_clusters)
    return _planned(rows, _in_one_unit(source, settings), sizes, settings, n_targets)


def plan_against(
    rows: DataFrame, centroids: DataFrame, settings: ScoreConfig, n_targets: int, n_others: int
) -> Routing:
    """How the targets among ``rows`` meet the others, ``n_others``, and not each other. The rank
    order only settles which of equally similar others is named: ``random`` does for rows of any
    columns.
    """
    source, sizes = clusters(centroids, n_others)
    routing = replace(_in_one_unit(source, settings), rank_by="random", others_only=True)
    return _planned(rows, routing, sizes, settings, n_targets)


def _in_one_unit(source: CentroidSource, settings: ScoreConfig) -> Routing:
    """How targets are packed that are sent to the other rows."""
    k, probing = source.n_clusters, probing_of(settings)
    keys, met = np.zeros(1, dtype=np.int32), np.ones(k, dtype=bool)
    return Routing(source, one_unit(k), keys, 1, settings.rank_by, probing, met=met)


def _planned(
    rows: DataFrame,
    routing: Routing,
    sizes: npt.NDArray[np.float64],
    settings: ScoreConfig,
    n_targets: int,
) -> Routing:
    """``routing``: with one unit."""
    source, targets = routing.centroids, rows.filter(F.col(TARGET))
    unit_rows, probing = settings.unit_rows(source.dimension), routing.probing
    limits = n_targets, source.dimension, unit_rows
    if probing is None and can_be_sent(n_targets, *limits):
        return _sent(targets, routing, settings.seed)
    members, visits = visited_clusters(targets, source, probing, alone=routing.alone)
    plan, all_with_all = plan_targets(sizes, members, visits, probing, unit_rows=unit_rows)
    n_places = n_targets + (0 if all_with_all else int(visits.sum()))
    if routing.alone and can_be_sent(n_places, *limits):
        unit = one_unit(1) if all_with_all else routing.plan
        routing = replace(routing, plan=unit, all_with_all=all_with_all)
        return _sent(targets, routing, settings.seed)
    n_tasks = tasks(rows.sparkSession, plan.n_units)
    return replace(
        routing,
        plan=plan,
        unit_keys=partition_keys(plan.n_units, n_tasks),
        n_tasks=n_tasks,
        all_with_all=all_with_all,
        met=members + visits > 0,
    )


def _sent(targets: DataFrame, routing: Routing, seed: int) -> Routing:
    """The targets go to the others, which meet them where they are read."""
    sent = collect_targets(targets, routing, seed=seed)
    return replace(routing, met=visited(sent, routing.centroids.n_clusters), sent=sent)


def plan_targets(
    sizes: npt.NDArray[np.float64],
    members: npt.NDArray[np.int64],
    visits: npt.NDArray[np.int64],
    probing: Probing | None,
    *,
    unit_rows: int,
) -> tuple[UnitPlan, bool]:
    """(units, whether targets are best compared with all rows). ``sizes``, ``members``, ``visits``:
    (k,) rows, targets, and visits by targets.
    """
    if _cheaper_all(probing, members, visits, sizes):
        return _plan_all(members, sizes, unit_rows), True
    reached = np.where(members + visits > 0, np.maximum(sizes, members), 0)
    seen = None if probing is None else visits
    return plan_units(reached, unit_rows=unit_rows, probes=seen, targets=members), False


def _cheaper_all(
    probing: Probing | None,
    members: npt.NDArray[np.int64],
    visits: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.float64],
) -> bool:
    """Whether the targets would meet most of all rows anyway."""
    if probing is None or probing.budget is not None or not members.any():
        return False
    met = ((members + visits) * sizes).sum()
    return bool(met >= _MOST_MET * members.sum() * sizes.sum())


def _plan_all(
    members: npt.NDArray[np.int64], sizes: npt.NDArray[np.float64], unit_rows: int
) -> UnitPlan:
    """The clusters by their number modulo as many parts as units need; targets visit each part."""
    k = len(sizes)
    n_parts = min(k, max(_FEWEST_PARTS, int(-(-2 * sizes.sum() // unit_rows))))
    part = np.arange(k) % n_parts
    rows = np.bincount(part, weights=np.maximum(sizes, members), minlength=n_parts)
    own = np.bincount(part, weights=members, minlength=n_parts)
    return plan_units(rows, unit_rows=unit_rows, probes=members.sum() - own, targets=own)


def near_targets(rows: DataFrame, scores: DataFrame, routing: Routing, n_scores: int) -> DataFrame:
    """``rows`` beside the clusters that they have in ``scores``, without those whose clusters no
    target meets; where the ids of these scores, ``n_scores`` in all, are few enough to be sent to
    them. Nothing depends on it but the time.
    """
    met = routing.met
    if met is None or not routing.alone:
        return rows
    near, every = scores, routing.all_with_all or bool(met.all())
    if not every:
        near = scores.filter(_one_of(s.CLUSTER_ID, [int(i) for i in np.flatnonzero(met)]))
        n_scores = near.count() if n_scores > _MOST_IDS else n_scores
    if n_scores > _MOST_IDS:
        return rows
    # By their batches, too: an id that came back with other content has another cluster.
    labels = near.select(s.ID, s.BATCH, F.col(s.CLUSTER_ID).alias(LABEL))
    labelled = rows.join(F.broadcast(labels), [s.ID, s.BATCH], "left")
    return labelled if every else labelled.filter(F.col(TARGET) | F.col(LABEL).isNotNull())


def _one_of(name: str, values: list[int]) -> Column:
    return F.col(name).isin(values) if values else F.lit(False)
