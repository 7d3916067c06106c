"""Decides, before anything is compared, how rows are compared and how they are brought together."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark.config import ScoreConfig
from semdedup_spark.kernels.score.borders import Probing
from semdedup_spark.kernels.score.cost import cheaper_all_with_all, expected_probes
from semdedup_spark.kernels.score.partition_keys import partition_keys
from semdedup_spark.kernels.score.unit_plan import UnitPlan, plan_units
from semdedup_spark.pipeline.stages.compare_settings import (
    Clusters,
    probing_of,
    survey_sample,
    tasks,
)
from semdedup_spark.transforms.score.compare_broadcast import (
    can_be_sent,
    collect_targets,
    visited,
)
from semdedup_spark.transforms.score.comparison import (
    AgainstReference,
    Broadcast,
    Carrier,
    Comparison,
    Everyone,
    Scope,
    Units,
)
from semdedup_spark.transforms.score.packed_rows import TARGET
from semdedup_spark.transforms.score.survey import survey_borders, visited_clusters

# Where all targets are compared with all rows: at least this many units, for as many tasks.
_FEWEST_PARTS = 16
# Targets are compared with all rows if they would meet at least this share of them anyway.
_MOST_MET = 0.5


@overload
def plan(
    rows: DataFrame,
    clusters: Clusters,
    settings: ScoreConfig,
    scope: Everyone,
    *,
    backwards: bool = ...,
) -> tuple[Comparison, Units]: ...


@overload
def plan(
    rows: DataFrame,
    clusters: Clusters,
    settings: ScoreConfig,
    scope: Scope,
    *,
    backwards: bool = ...,
) -> tuple[Comparison, Carrier]: ...


def plan(
    rows: DataFrame,
    clusters: Clusters,
    settings: ScoreConfig,
    scope: Scope,
    *,
    backwards: bool = False,
) -> tuple[Comparison, Carrier]:
    """Plan a comparison. Runs Spark jobs if rows visit other clusters or not all are targets.

    Parameters
    ----------
    rows
        As :func:`~transforms.score.compare.compare` takes them.
    clusters
        The centroids, and how many rows each has.
    settings
        Section ``score`` of the configuration.
    scope
        Whose scores are wanted.
    backwards
        Whether rows are compared with those that rank after them.

    Returns
    -------
    tuple[Comparison, Carrier]
        How rows are compared, and how they are brought together.
    """

    def comparison(*, all_with_all: bool) -> Comparison:
        return Comparison(
            clusters.source,
            # With a reference the order only settles which of equally similar rows is named as
            # the neighbor. `random` needs no columns, which the two sources need not share.
            "random" if isinstance(scope, AgainstReference) else settings.rank_by,
            probing_of(settings),
            all_with_all,
            settings.device,
            settings.precision == "float16",
            settings.seed,
            backwards,
        )

    if isinstance(scope, Everyone):
        units, all_with_all = _units_of_all(rows, clusters, settings, scope.n)
        return comparison(all_with_all=all_with_all), units
    within, probing = comparison(all_with_all=False), probing_of(settings)
    unit_rows, targets = settings.unit_rows(clusters.dimension), rows.filter(F.col(TARGET))
    limits = scope.n, clusters.dimension, unit_rows
    if probing is None and can_be_sent(scope.n, *limits):
        return within, _broadcast(targets, within, scope, unit_rows)
    alone = within.visits_alone(scope)
    members, visits = visited_clusters(targets, clusters.source, probing, alone=alone)
    unit_plan, all_with_all = plan_targets(
        clusters.sizes, members, visits, probing, unit_rows=unit_rows
    )
    chosen = comparison(all_with_all=all_with_all)
    n_places = scope.n + (0 if all_with_all else int(visits.sum()))
    if alone and can_be_sent(n_places, *limits):
        return chosen, _broadcast(targets, chosen, scope, unit_rows)
    met = members + visits > 0 if alone and not all_with_all else None
    return chosen, _units(rows, unit_plan, met)


def _units_of_all(
    rows: DataFrame, clusters: Clusters, settings: ScoreConfig, n: int
) -> tuple[Units, bool]:
    """(the units, whether all rows are compared with all)."""
    sizes, unit_rows = clusters.sizes, settings.unit_rows(clusters.dimension)
    probing, probes, all_with_all = probing_of(settings), None, False
    if probing is not None:
        survey = survey_borders(survey_sample(rows, n, clusters.source), clusters.source, [probing])
        probes = expected_probes(survey.probes[0], sizes, survey.n_rows)
        all_with_all = probing.budget is None and cheaper_all_with_all(sizes, probes, unit_rows)
    if all_with_all:
        sizes, probes = np.array([float(n)]), None
    return _units(rows, plan_units(sizes, unit_rows=unit_rows, probes=probes)), all_with_all


def _units(rows: DataFrame, unit_plan: UnitPlan, met: npt.NDArray[np.bool_] | None = None) -> Units:
    n_tasks = tasks(rows.sparkSession, unit_plan.n_units)
    return Units(unit_plan, partition_keys(unit_plan.n_units, n_tasks), n_tasks, met)


def _broadcast(
    targets: DataFrame, comparison: Comparison, scope: Scope, unit_rows: int
) -> Broadcast:
    """The targets go to the other rows, which meet them where they are read."""
    sent = collect_targets(targets, comparison, scope)
    met = None
    if not comparison.all_with_all:
        met = visited(sent, comparison.centroids.n_clusters)
    return Broadcast(sent, Units.single(comparison, met), unit_rows)


def plan_targets(
    sizes: npt.NDArray[np.float64],
    members: npt.NDArray[np.int64],
    visits: npt.NDArray[np.int64],
    probing: Probing | None,
    *,
    unit_rows: int,
    fewest_parts: int = _FEWEST_PARTS,
    most_met: float = _MOST_MET,
) -> tuple[UnitPlan, bool]:
    """Plan the units in which targets meet the other rows.

    Parameters
    ----------
    sizes
        (k,) float64. Rows in each cluster.
    members
        (k,) int64. Targets in each cluster.
    visits
        (k,) int64. Targets that visit each cluster from another one.
    probing
        How far rows visit other clusters, ``None`` for not at all.
    unit_rows
        Most rows that a unit may hold.
    fewest_parts
        Fewest units if targets are compared with all rows.
    most_met
        Targets that meet at least this share of all pairs are compared with all rows.

    Returns
    -------
    tuple[UnitPlan, bool]
        The units, and whether targets are compared with all rows.
    """
    exact = probing is not None and probing.budget is None
    if exact and members.any():
        met = ((members + visits) * sizes).sum()
        if met >= most_met * members.sum() * sizes.sum():
            return _plan_all(members, sizes, unit_rows, fewest_parts), True
    reached = np.where(members + visits > 0, np.maximum(sizes, members), 0)
    seen = None if probing is None else visits
    return plan_units(reached, unit_rows=unit_rows, probes=seen, targets=members), False


def _plan_all(
    members: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.float64],
    unit_rows: int,
    fewest_parts: int,
) -> UnitPlan:
    """The clusters by their number modulo as many parts as units need. Targets visit each part."""
    k = len(sizes)
    n_parts = min(k, max(fewest_parts, int(-(-2 * sizes.sum() // unit_rows))))
    part = np.arange(k) % n_parts
    rows = np.bincount(part, weights=np.maximum(sizes, members), minlength=n_parts)
    own = np.bincount(part, weights=members, minlength=n_parts)
    return plan_units(rows, unit_rows=unit_rows, probes=members.sum() - own, targets=own)
