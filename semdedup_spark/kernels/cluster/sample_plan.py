"""How many rows train centroids, and in how many levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

# So that a sample chosen by hash is never empty.
_SMALLEST_SAMPLE = 1024


_NEARLY_ALL = 0.95


# More clusters are trained and assigned on two levels; up to here the borders of all pairs of
# clusters fit in memory.
LARGEST_FLAT = 4096


# The largest of the coarse cells, in mean ones.
_LARGEST_CELL = 8


# Reading a vector from Delta, or sending it to its unit: a round figure, near what the stage took
# for 400,000 x 384 beyond its products.
BYTES_PER_CORE_SECOND = 1e8


@dataclass(frozen=True)
class TrainingPlan:
    """``n_clusters`` to make, on ``levels`` 1 or 2; ``share`` of the rows, in (0, 1], to train on;
    ``task_rows``: as many as one task may hold.
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
    """Settle the levels (chosen where ``None``) and the training sample: ``sample_per_cluster``
    rows a cluster, at least k. With one level the sample holds at most ``memory_mb`` MiB of
    vectors; with two, where a task sees only one cell of it, what keeps cells of usual sizes within
    ``task_memory_mb``.
    """
    k = min(n, n_clusters)
    levels = levels or (1 if k <= LARGEST_FLAT else 2)
    row_bytes = 4 * dimension
    task_rows = max(2, task_memory_mb * 2**20 // row_bytes)
    largest = memory_mb * 2**20 // row_bytes
    if levels == 2:
        largest = max(largest, round(task_rows * math.sqrt(k) / _LARGEST_CELL))
    wanted = max(k, _SMALLEST_SAMPLE, min(sample_per_cluster * k, largest))
    # Hash sampling gives a binomial number of rows; a share this near to 1 is taken whole.
    share = wanted / n
    return TrainingPlan(k, 1.0 if share > _NEARLY_ALL else share, levels, task_rows)
