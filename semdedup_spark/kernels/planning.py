"""How many clusters to make: the cost model behind ``n_clusters: auto``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Multiply-adds that the fixed part of training (MLlib's jobs, a few seconds) is worth.
_TRAINING_OVERHEAD = 2.5e11
_LLOYD_ITERATIONS = 10
# Real clusters are uneven: k * sum(n_c^2) / n^2 is about 2 on text and image embeddings.
_IMBALANCE = 2.0
# So that a sample chosen by hash is never empty.
_SMALLEST_SAMPLE = 1024
_NEARLY_ALL = 0.95


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
