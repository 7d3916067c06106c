"""Finds the cheapest number of clusters from the sizes that clusters of a sample have."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from semdedup_spark.kernels.cluster.assign import N_CELLS
from semdedup_spark.kernels.cluster.sample_plan import BYTES_PER_CORE_SECOND, LARGEST_FLAT
from semdedup_spark.kernels.cluster.size_curve import USUAL, SizeCurve

# Multiply-adds in the time of the fixed part of training (Spark's jobs, a few seconds).
_TRAINING_OVERHEAD = 2.5e11
_LLOYD_ITERATIONS = 10
# Multiply-adds of a core in the time in which it moves one byte.
_PRODUCTS_PER_BYTE = 500.0
# Rows of the matrices that measure a machine's rate.
_RATE_ROWS = 1024


@dataclass(frozen=True)
class Forecast:
    """What one number of clusters would cost, where rows are compared within clusters.

    Attributes
    ----------
    n
        Number of rows.
    dimension
        Numbers per row.
    n_clusters
        Number of clusters.
    levels
        1 or 2.
    sizes
        The assumed unevenness of the clusters.
    training
        Multiply-adds of the training.
    assignment
        Multiply-adds of the assignment.
    comparison
        Multiply-adds of the comparison.
    comparisons
        Pairs of rows compared, each counted once.
    bytes_moved
        Bytes of vectors shuffled to their units.
    """

    n: int
    dimension: int
    n_clusters: int
    levels: int
    sizes: SizeCurve
    training: float
    assignment: float
    comparison: float
    comparisons: float
    bytes_moved: float

    @property
    def cost(self) -> float:
        """Total cost in multiply-adds."""
        products = self.training + self.assignment + self.comparison
        return products + _PRODUCTS_PER_BYTE * self.bytes_moved

    @property
    def flops(self) -> float:
        """Floating-point operations: a multiplication and an addition per multiply-add."""
        return 2 * (self.training + self.assignment + self.comparison)

    @property
    def mean_size(self) -> float:
        """Mean number of rows of a cluster."""
        return self.n / self.n_clusters

    def core_seconds(self, flops_per_second: float) -> float:
        """Estimate the seconds that one core needs, including one read of each vector.

        Parameters
        ----------
        flops_per_second
            Rate of the core in matrix products, such as :func:`measured_rate`.

        Returns
        -------
        float
            Seconds of one core.
        """
        moving = self.bytes_moved + 4.0 * self.n * self.dimension
        return self.flops / flops_per_second + moving / BYTES_PER_CORE_SECOND


def forecast(
    n: int,
    dimension: int,
    n_clusters: int,
    *,
    sample_per_cluster: int,
    unit_rows: int,
    sizes: SizeCurve = USUAL,
    levels: int | None = None,
) -> Forecast:
    """Estimate the cost of one number of clusters.

    Parameters
    ----------
    n
        Number of rows.
    dimension
        Numbers per row.
    n_clusters
        Number of clusters.
    sample_per_cluster
        Rows of the training sample per cluster.
    unit_rows
        Most rows of a unit. Rows of a larger cluster travel to several units.
    sizes
        How uneven the clusters are.
    levels
        1 or 2; ``None`` chooses two for more than 4,096 clusters.

    Returns
    -------
    Forecast
        The estimate.
    """
    k, d = n_clusters, dimension
    levels = levels or (1 if k <= LARGEST_FLAT else 2)
    # Centroids that a row is compared with in training and in assignment.
    in_training = k if levels == 1 else 2 * math.sqrt(k)
    in_assignment = k if levels == 1 else min(k, (1 + N_CELLS) * math.sqrt(k))
    same_cluster = sizes.at(k) / k  # share of the pairs that are in one cluster
    comparisons = n * n / 2 * same_cluster
    copies = n * max(1.0, n * same_cluster / (unit_rows / 2))
    if k == 1:
        training = assignment = 0.0
    else:
        sample = min(n, sample_per_cluster * k)
        training = _LLOYD_ITERATIONS * sample * in_training * d + _TRAINING_OVERHEAD
        assignment = float(n * in_assignment * d)
    return Forecast(
        n, d, k, levels, sizes, training, assignment, comparisons * d, comparisons, 4.0 * d * copies
    )


def cheapest(
    n: int,
    dimension: int,
    *,
    sample_per_cluster: int,
    unit_rows: int,
    sizes: SizeCurve = USUAL,
    levels: int | None = None,
) -> Forecast:
    """Find the number of clusters of least cost; 1 (all pairs) where clustering cannot pay.

    It tries 1 and about 20 values per decade up to n / 2. Fewer clusters also find more duplicates,
    so the smaller number wins at equal cost. For the same reason two levels, which have more
    clusters, must at least halve the cost.

    Parameters
    ----------
    n
        Number of rows.
    dimension
        Numbers per row.
    sample_per_cluster
        Rows of the training sample per cluster.
    unit_rows
        Most rows of a unit.
    sizes
        How uneven the clusters are.
    levels
        1 or 2; ``None`` tries both.

    Returns
    -------
    Forecast
        The cheapest choice.
    """
    largest = max(n // 2, 1)
    steps = max(2, int(20 * math.log10(largest + 1)))
    grid = np.unique(np.geomspace(1, largest, steps).round().astype(int))

    def best(on_levels: int) -> Forecast:
        choices = [
            forecast(
                n,
                dimension,
                int(k),
                sample_per_cluster=sample_per_cluster,
                unit_rows=unit_rows,
                sizes=sizes,
                levels=on_levels,
            )
            for k in grid
        ]
        return min(choices, key=lambda choice: choice.cost)

    if levels is not None:
        return best(levels)
    one, two = best(1), best(2)
    return two if two.n_clusters > LARGEST_FLAT and 2 * two.cost < one.cost else one


def measured_rate(dimension: int) -> float:
    """Measure the rate of a matrix product like those of scoring, on one thread.

    Parameters
    ----------
    dimension
        Numbers per row.

    Returns
    -------
    float
        Floating-point operations per second, the best of a few runs.
    """
    A = np.ones((_RATE_ROWS, dimension), dtype=np.float32)
    seconds = []
    with threadpool_limits(1, user_api="blas"):
        for _ in range(5):
            start = time.perf_counter()
            _ = A @ A[::-1].T
            seconds.append(time.perf_counter() - start)
    return 2 * _RATE_ROWS * _RATE_ROWS * dimension / min(seconds)
