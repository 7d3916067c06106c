"""What clustering and each choice of recall would cost, estimated before anyone pays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdedup_spark import schema as s
from semdedup_spark.config import ClusterConfig, ProbeBudget, ScoreConfig
from semdedup_spark.kernels.cluster.cost import Forecast, measured_rate
from semdedup_spark.kernels.cluster.size_curve import USUAL
from semdedup_spark.kernels.score.cost import (
    ComparisonCost,
    cheaper_all_with_all,
    comparison_cost,
    expected_probes,
)
from semdedup_spark.kernels.score.unit_plan import plan_units
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.cluster import dimension_of, require_centroids
from semdedup_spark.pipeline.stages.cluster_cost import expected_cost, forecast_of
from semdedup_spark.pipeline.stages.compare_settings import (
    probing_of,
    survey_sample,
    trained,
)
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource
from semdedup_spark.transforms.score.survey import Survey, survey_borders

_BUDGETS = (1, 2, 4, 8, 16)
_HORIZONS = (0.00095, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3)
# Proof is worth this much more than the paper's way.
_WORTH = 2.0
# Below a minute of one core nobody should think about it.
_CHEAP_SECONDS = 60.0
# Below half a second of one core, or the multiply-adds of about a second, a ratio says nothing.
_TRIFLING_SECONDS, _TRIFLING_PRODUCTS = 0.5, 2.5e10


@dataclass(frozen=True)
class Choice:
    """One way to score.

    Attributes
    ----------
    recall
        As in the configuration.
    eps_max
        As in the configuration.
    cost
        Estimated cost.
    not_cut
        Share of the sample that would make all required visits; ``None`` for recall cluster, which
        makes none.
    """

    recall: str
    eps_max: float
    cost: ComparisonCost
    not_cut: float | None


@dataclass(frozen=True)
class Plan:
    """Estimated cost of clustering and of ways to score.

    Attributes
    ----------
    n
        Number of rows.
    n_clusters
        Number of clusters.
    forecast
        Cost of comparing rows within clusters.
    why_clusters
        Why there are that many clusters.
    flops_per_second
        Speed of one core of this machine.
    choices
        Ways to score; empty without clusters.
    recommended
        Position of the recommended choice, -1 without choices.
    why
        Why it is recommended.
    """

    n: int
    n_clusters: int
    forecast: Forecast
    why_clusters: str
    flops_per_second: float
    choices: list[Choice]
    recommended: int
    why: str


def run_plan(job: Job) -> Plan:
    """Estimate the cost of clustering and, if there are clusters, of each way to score.

    Reads ``embeddings`` and ``centroids``; writes nothing.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Plan
        The estimates.
    """
    embed = require_embed(job)
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
    rows, n = embeddings.select(s.ID, s.EMBEDDING), embed.counts["embedded"]
    expected = expected_cost(job, rows, n, dimension_of(rows))
    if job.ledger.last("cluster") is None:
        return _before_clustering(expected, job.config.cluster, "run `semdedup cluster` first")
    require_centroids(job)
    centroids = read_table(job.spark, job.root, s.CENTROIDS)
    clusters = trained(centroids).estimated_clusters(n)
    source, sizes = clusters.source, clusters.sizes
    ways = _ways(job.config.score, job.config.select.eps)
    sample = survey_sample(embeddings, n, source)
    survey = survey_borders(sample, source, [probing_of(way) for way in ways])
    seen = zip(ways, survey.probes, survey.cut, strict=True)
    choices = [
        _choice(way, source, sizes, expected_probes(probes, sizes, survey.n_rows), cut, survey)
        for way, probes, cut in seen
    ]
    best, why = recommend(choices, job.config.score.eps_max)
    rate = survey.flops_per_second
    reason = _why_clusters(expected, job.config.cluster)
    return Plan(n, source.n_clusters, expected, reason, rate, choices, best, why)


def plan_sizes(n: int, dimension: int, cluster: ClusterConfig) -> Plan:
    """Estimate costs for rows that are not here, without Spark. Clusters are as uneven as is usual.

    Parameters
    ----------
    n
        Number of rows.
    dimension
        Numbers in a vector, d.
    cluster
        Section ``cluster`` of the configuration.

    Returns
    -------
    Plan
        The estimates.
    """
    expected = forecast_of(cluster, n, dimension, USUAL)
    return _before_clustering(expected, cluster, "choices of recall need embeddings and clusters")


def _before_clustering(expected: Forecast, cluster: ClusterConfig, why: str) -> Plan:
    rate = measured_rate(expected.dimension)
    reason = _why_clusters(expected, cluster)
    return Plan(expected.n, expected.n_clusters, expected, reason, rate, [], -1, why)


def _why_clusters(expected: Forecast, cluster: ClusterConfig) -> str:
    """What half and twice as many would cost, unless the chosen number costs next to nothing."""
    k, n = expected.n_clusters, expected.n
    others = []
    for word, other in (("half as many", k // 2), ("twice as many", 2 * k)):
        if 1 <= other <= n and expected.cost > _TRIFLING_PRODUCTS:
            fixed = cluster.model_copy(update={"n_clusters": other})
            cost = forecast_of(fixed, n, expected.dimension, expected.sizes).cost
            others.append(f"{word} would cost {_times(cost / expected.cost, 2)} as much")
    chosen = "the cheapest" if cluster.n_clusters == "auto" else "as configured"
    return "; ".join([chosen, *others])


def _times(ratio: float, decimals: int) -> str:
    return f"{ratio:.{decimals}f} times" if ratio < 10 else f"{ratio:,.0f} times"


def _choice(
    way: ScoreConfig,
    source: CentroidSource,
    sizes: npt.NDArray[np.float64],
    probes: npt.NDArray[np.float64],
    cut: int,
    survey: Survey,
) -> Choice:
    probing, n = probing_of(way), float(sizes.sum())
    not_cut = None if probing is None else 1 - cut / max(survey.n_rows, 1)
    unit_rows = way.unit_rows(source.dimension)
    exact = probing is not None and probing.budget is None
    if exact and cheaper_all_with_all(sizes, probes, unit_rows):
        sizes, probes, not_cut = np.array([n]), np.zeros(1), 1.0
    units = plan_units(sizes, unit_rows=unit_rows, probes=None if probing is None else probes)
    k, d = source.n_clusters, source.dimension
    cost = comparison_cost(
        sizes, probes, units, n_clusters=k, dimension=d, flops_per_second=survey.flops_per_second
    )
    return Choice(_label(way), way.eps_max, cost, not_cut)


def _ways(settings: ScoreConfig, eps: float | None) -> list[ScoreConfig]:
    """The paper's way, budgets, and exact for the configured and for tighter horizons."""
    horizons = {settings.eps_max, *([eps] if eps else []), *_HORIZONS}
    recalls: list[dict[str, Any]] = [{"recall": "cluster"}]
    recalls += [{"recall": ProbeBudget(probes=t)} for t in _BUDGETS]
    recalls += [
        {"recall": "exact", "eps_max": horizon}
        for horizon in sorted(horizons, reverse=True)
        if horizon <= settings.eps_max
    ]
    return [settings.model_copy(update=update) for update in recalls]


def _label(settings: ScoreConfig) -> str:
    recall = settings.recall
    return f"{{probes: {recall.probes}}}" if isinstance(recall, ProbeBudget) else recall


def recommend(choices: list[Choice], eps_max: float) -> tuple[int, str]:
    """Choose a way to score: proved recall if it is worth its price, else as many probes as are.

    Parameters
    ----------
    choices
        Ways to score, the paper's way first.
    eps_max
        As in the configuration.

    Returns
    -------
    tuple[int, str]
        Position of the choice, and why it is recommended.
    """
    paper = choices[0].cost.core_seconds
    limit = max(_WORTH * paper, _CHEAP_SECONDS)
    affordable = [i for i, choice in enumerate(choices) if choice.cost.core_seconds <= limit]
    exact = [i for i in affordable if choices[i].recall == "exact"]
    best = max(exact, key=lambda i: choices[i].eps_max, default=-1)
    if best >= 0:
        seconds = choices[best].cost.core_seconds
        why = "no pair is missed, in less than half a second of one core"
        if seconds >= _TRIFLING_SECONDS:
            times = _times(seconds / max(paper, 1e-9), 1)
            why = f"no pair is missed, for {times} the cost of recall: cluster"
        if choices[best].eps_max < eps_max:
            why += f"; eps_max {eps_max:g} would cost more than {_in_words(limit, paper)}"
        return best, why
    return affordable[-1], f"exact recall costs more than {_in_words(limit, paper)}"


def _in_words(limit: float, paper: float) -> str:
    """The limit of what a choice may cost, in words."""
    if limit > _WORTH * paper:
        return "a minute of one core"
    return f"{_WORTH:g} times recall: cluster"
