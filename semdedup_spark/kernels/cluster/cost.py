"""Which number of clusters is cheapest, from the sizes that clusters of a sample have."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from semdedup_spark.kernels.cluster.assign import N_CELLS
from semdedup_spark.kernels.cluster.lloyd import ArrayData
from semdedup_spark.kernels.cluster.sample_plan import BYTES_PER_CORE_SECOND, LARGEST_FLAT
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.vectors import FloatArray, first_of_equal_rows, hash_rows

# Multiply-adds that the fixed part of training (Spark's jobs, a few seconds) is worth.
_TRAINING_OVERHEAD = 2.5e11
_LLOYD_ITERATIONS = 10
# A core multiplies and adds so often in the time in which it moves a byte.
_PRODUCTS_PER_BYTE = 500.0
_SURVEYED = (8, 32, 128)
_SURVEY_ITERATIONS = 5
_STEEPEST = 0.5
_RATE_ROWS = 1024


@dataclass(frozen=True)
class SizeCurve:
    """How uneven clusters are. ``imbalance``: ``k * sum(n_c^2) / n^2``, 1 where all are equal, for
    each of ``n_clusters`` (ascending); ``p99``, ``largest``: cluster sizes over their mean.
    """

    n_clusters: tuple[int, ...]
    imbalance: tuple[float, ...]
    p99: float
    largest: float

    def at(self, n_clusters: float) -> float:
        """The imbalance for any k: along straight lines in logarithms. One cluster has 1."""
        if n_clusters <= 1:
            return 1.0
        known = np.log(np.maximum(self.imbalance, 1.0))
        x, place = np.log(self.n_clusters), math.log(n_clusters)
        if place <= x[-1] or len(x) == 1:
            return float(np.exp(np.interp(place, x, known)))
        slope = (known[-1] - known[-2]) / (x[-1] - x[-2])
        return float(np.exp(known[-1] + np.clip(slope, 0, _STEEPEST) * (place - x[-1])))


# Where nothing is known: 2 is usual for embeddings of text and images; the largest cluster of
# LAION-440M had 36 times the mean (Abbas et al. 2023, 318,000 of 8,748).
USUAL = SizeCurve((1,), (2.0,), 5.0, 36.0)


def survey_sizes(X: FloatArray, seed: int = 0) -> SizeCurve:
    """Clusters half of the different rows of ``X`` (n, d) into a few numbers of clusters and counts
    the other half in them, so that chance in training does not look like order.
    """
    distinct = X[np.unique(first_of_equal_rows(X, hash_rows(X)))]
    rows = distinct[np.random.default_rng(seed).permutation(len(distinct))]
    training, judged = np.array_split(rows, 2)
    n, sizes, imbalance = len(judged), np.ones(1), []
    surveyed = [k for k in _SURVEYED if 16 * k <= n]
    for k in surveyed:
        fitted = train(training, k, Training(seed, _SURVEY_ITERATIONS, 0.0))
        sizes = ArrayData(judged).partial_sums(fitted.centroids).counts.astype(np.float64)
        pairs = (sizes * (sizes - 1)).sum() / (n * (n - 1))  # of one cluster; unbiased
        imbalance.append(float(max(len(sizes) * pairs, 1.0)))
    if not surveyed:
        return USUAL
    relative = sizes / sizes.mean()
    return SizeCurve(
        tuple(surveyed), tuple(imbalance), float(np.quantile(relative, 0.99)), float(relative.max())
    )


@dataclass(frozen=True)
class Forecast:
    """What ``n_clusters`` clusters of ``n`` rows of ``dimension`` numbers would cost, within
    clusters. Multiply-adds: ``training``, ``assignment``, ``comparison``; ``comparisons``: pairs of
    rows, each once; ``bytes_moved``: of vectors shuffled to their units.
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
        """All of it, in multiply-adds."""
        products = self.training + self.assignment + self.comparison
        return products + _PRODUCTS_PER_BYTE * self.bytes_moved

    @property
    def flops(self) -> float:
        """A multiplication and an addition each."""
        return 2 * (self.training + self.assignment + self.comparison)

    @property
    def mean_size(self) -> float:
        """Rows of a cluster."""
        return self.n / self.n_clusters

    def core_seconds(self, flops_per_second: float) -> float:
        """Of one core that multiplies at this rate; reads each vector once."""
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
    """Of one choice. ``unit_rows``: most rows of a unit; those of a larger cluster travel to
    several.
    """
    k, d = n_clusters, dimension
    levels = levels or (1 if k <= LARGEST_FLAT else 2)
    # Centroids that a row is compared with, in training and when it is assigned.
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
    """The k of least cost; 1 (all pairs) where clustering cannot pay.

    Looks at 1 and at about 20 values of k a decade up to n / 2. Fewer clusters also find more
    duplicates, so of equal costs the smaller k wins, and two levels, which have more clusters, must
    halve the cost.
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
    """FLOP a second of a matrix product like those of scoring, on one thread; best of a few."""
    A = np.ones((_RATE_ROWS, dimension), dtype=np.float32)
    seconds = []
    with threadpool_limits(1, user_api="blas"):
        for _ in range(5):
            start = time.perf_counter()
            _ = A @ A[::-1].T
            seconds.append(time.perf_counter() - start)
    return 2 * _RATE_ROWS * _RATE_ROWS * dimension / min(seconds)
