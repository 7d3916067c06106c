"""Chooses how many rows train the centroids, and in how many levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A sample chosen by hash is never empty when this many rows are expected.
_SMALLEST_SAMPLE = 1024
# A larger share of the rows is rounded up to all of them.
_NEARLY_ALL = 0.95
# Most clusters of one level; more are trained and assigned on two levels. Up to this number the
# distances between all pairs of centroids fit in memory.
LARGEST_FLAT = 4096
# Size of the largest coarse cell, as a multiple of the mean size.
_LARGEST_CELL = 8
# Bytes of vectors that a core reads from Delta, or sends to a unit, in a second. It is a round
# figure, near what the stage took for 400,000 x 384 beyond its products.
BYTES_PER_CORE_SECOND = 1e8


@dataclass(frozen=True)
class TrainingPlan:
    """How to train the centroids.

    Attributes
    ----------
    n_clusters
        Number of clusters to make.
    share
        Share of the rows to train on, in (0, 1].
    levels
        1 or 2.
    task_rows
        Most rows that one task may hold.
    """

    n_clusters: int
    share: float
    levels: int
    task_rows: int


def plan_training(
    n: int,
    dimension: int,
    *,
    n_clusters: int,
    sample_per_cluster: int,
    memory_mb: int,
    task_memory_mb: int,
    levels: int | None = None,
) -> TrainingPlan:
    """Choose the levels and the size of the training sample.

    The sample has ``sample_per_cluster`` rows per cluster, and at least one row per cluster. With
    one level it holds at most ``memory_mb`` MiB of vectors. With two levels a task sees only one
    cell of the sample, so the sample may be as large as keeps cells of usual sizes within
    ``task_memory_mb``.

    Parameters
    ----------
    n
        Number of rows.
    dimension
        Numbers per row.
    n_clusters
        Number of clusters wanted; at most n are made.
    sample_per_cluster
        Rows of the sample per cluster.
    memory_mb
        Most memory of the sample, in MiB.
    task_memory_mb
        Most memory of the vectors in one task, in MiB.
    levels
        1 or 2; ``None`` chooses two for more than 4,096 clusters.

    Returns
    -------
    TrainingPlan
        The plan.
    """
    k = min(n, n_clusters)
    levels = levels or (1 if k <= LARGEST_FLAT else 2)
    row_bytes = 4 * dimension
    task_rows = max(2, task_memory_mb * 2**20 // row_bytes)
    largest = memory_mb * 2**20 // row_bytes
    if levels == 2:
        largest = max(largest, round(task_rows * math.sqrt(k) / _LARGEST_CELL))
    wanted = max(k, _SMALLEST_SAMPLE, min(sample_per_cluster * k, largest))
    # Sampling by hash gives a binomial number of rows. Where the share is this near to 1, all rows
    # are taken.
    share = wanted / n
    return TrainingPlan(k, 1.0 if share > _NEARLY_ALL else share, levels, task_rows)
