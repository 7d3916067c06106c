"""Costs, before anyone pays them: of clustering (``n_clusters: auto``) and of comparing rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.packing import UnitPlan

# Multiply-adds that the fixed part of training (MLlib's jobs, a few seconds) is worth.
_TRAINING_OVERHEAD = 2.5e11
_LLOYD_ITERATIONS = 10
# Real clusters are uneven: k * sum(n_c^2) / n^2 is about 2 on text and image embeddings.
_IMBALANCE = 2.0
# So that a sample chosen by hash is never empty.
_SMALLEST_SAMPLE = 1024
_NEARLY_ALL = 0.95
_PSEUDO_VISITS = 4.0
# Reading a vector from Delta, or sending it to its unit: a round figure, near what the stage took
# for 400,000 x 384 beyond its products.
_BYTES_PER_CORE_SECOND = 1e8


def planned_cost(n: int, dimension: int, n_clusters: int, sample_per_cluster: int) -> float:
    """Multiply-adds of training, assignment and comparison for n rows in ``n_clusters``."""
    if n_clusters == 1:
        return n * n / 2 * dimension
    sample = min(n, sample_per_cluster * n_clusters)
    training = _LLOYD_ITERATIONS * sample * n_clusters * dimension + _TRAINING_OVERHEAD
    assignment = n * n_clusters * dimension
    comparison = _IMBALANCE * n * n / n_clusters / 2 * dimension
    return float(training + assignment + comparison)


def choose_n_clusters(n: int, dimension: int, sample_per_cluster: int) -> int:
    """The k that minimises :func:`planned_cost`; 1 (all pairs) where clustering cannot pay.

    Looks at 1 and at about 20 values of k a decade up to n / 2. Fewer clusters also find more
    duplicates, so of equal costs the smaller k wins.
    """
    largest = max(n // 2, 1)
    steps = max(2, int(20 * math.log10(largest + 1)))
    grid = np.unique(np.geomspace(1, largest, steps).round().astype(int))
    costs = [planned_cost(n, dimension, int(k), sample_per_cluster) for k in grid]
    return int(grid[int(np.argmin(costs))])


def expected_probes(
    seen: npt.ArrayLike, sizes: npt.ArrayLike, sample_rows: int
) -> npt.NDArray[np.float64]:
    """(k,) rows that will visit each cluster, from those of a sample.

    ``seen``: (k,) visits by the ``sample_rows`` rows of the sample; ``sizes``: (k,) rows of each
    cluster. Few visits say little of one cluster, so each is drawn towards what clusters of its
    size get on average.
    """
    visits, rows = np.asarray(seen, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    usual = visits.sum() * rows / max(rows.sum(), 1.0)
    drawn = usual * (visits + _PSEUDO_VISITS) / (usual + _PSEUDO_VISITS)
    return np.asarray(drawn * rows.sum() / max(sample_rows, 1))


def cheaper_all_with_all(sizes: npt.ArrayLike, probes: npt.ArrayLike) -> bool:
    """Whether comparing all pairs takes fewer comparisons than clusters with so many probes do.

    ``sizes``, ``probes``: (k,) rows of each cluster, and rows that visit it.
    """
    rows, visits = np.asarray(sizes, dtype=np.float64), np.asarray(probes, dtype=np.float64)
    return bool((rows * (rows / 2 + visits)).sum() >= rows.sum() ** 2 / 2)


@dataclass(frozen=True)
class ComparisonCost:
    """``probes``: visits to other clusters; ``comparisons``: pairs of rows compared;
    ``copies``: vectors that travel to a unit; ``core_seconds``: of one core.
    """

    probes: float
    comparisons: float
    copies: float
    core_seconds: float


def comparison_cost(
    sizes: npt.ArrayLike,
    probes: npt.ArrayLike,
    plan: UnitPlan,
    *,
    n_clusters: int,
    dimension: int,
    flops_per_second: float,
) -> ComparisonCost:
    """What assigning to ``n_clusters`` and comparing rows will cost. ``sizes``, ``probes``: as
    planned, (k,), or (1,) where all rows are compared with each other.
    """
    rows, visits = np.asarray(sizes, dtype=np.float64), np.asarray(probes, dtype=np.float64)
    comparisons = float((rows * rows / 2 + rows * visits).sum())
    copies = float((rows * (plan.slots + plan.probe_slots) + visits * plan.slots).sum())
    products = rows.sum() * n_clusters + comparisons
    seconds = 2 * dimension * products / flops_per_second
    moving = 4 * dimension * (copies + rows.sum()) / _BYTES_PER_CORE_SECOND
    return ComparisonCost(float(visits.sum()), comparisons, copies, float(seconds + moving))


@dataclass(frozen=True)
class TrainingPlan:
    """``n_clusters`` to make; ``share`` of the rows, in (0, 1], to train on."""

    n_clusters: int
    share: float


def plan_training(
    n: int, dimension: int, *, n_clusters: int | None, sample_per_cluster: int, memory_mb: int
) -> TrainingPlan:
    """Settle k (chosen where ``None``, never more than the n rows) and the training sample:
    ``sample_per_cluster`` rows a cluster, as far as ``memory_mb`` MiB of vectors go, at least k.
    """
    k = min(n, n_clusters or choose_n_clusters(n, dimension, sample_per_cluster))
    in_memory = memory_mb * 2**20 // (4 * dimension)
    wanted = max(k, _SMALLEST_SAMPLE, min(sample_per_cluster * k, in_memory))
    # Hash sampling gives a binomial number of rows; a share this near to 1 is taken whole.
    share = wanted / n
    return TrainingPlan(k, 1.0 if share > _NEARLY_ALL else share)
