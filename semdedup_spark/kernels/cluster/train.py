"""Training of k-means on rows in one process, and what training in many processes needs besides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from semdedup_spark.kernels.cluster.lloyd import ArrayData, Clustering, spherical_lloyd
from semdedup_spark.kernels.cluster.partial_sums import KMeansData, round_to_grid
from semdedup_spark.kernels.vectors import FloatArray, IndexArray

# k-means++: candidates per step; rows per cluster that it looks at, and rows in all, at least.
_PLUS_PLUS_TRIALS = 8
_PLUS_PLUS_ROWS = 16
_LEAST_ROWS = 4096
_SKETCH_LENGTH = 64
# The first iterations only have to come near, so this many rows per cluster do for them.
_WARM_ROWS, _WARM_ITERATIONS = 64, 5


@dataclass(frozen=True)
class Training:
    """Settings of the training.

    Attributes
    ----------
    seed
        Seed of the order of the rows and of k-means++.
    max_iterations
        Most iterations of Lloyd's algorithm.
    tolerance
        The iteration stops when the objective grows by less than this share of itself.
    seeding
        ``rows`` or ``plusplus``, see :func:`first_centroids`.
    """

    seed: int
    max_iterations: int
    tolerance: float
    seeding: str = "plusplus"


def train(X: FloatArray, n_clusters: int, training: Training, threads: int = 1) -> Clustering:
    """Cluster rows by spherical k-means.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows, n >= 1. The start depends on their order, so pass them in a fixed
        one.
    n_clusters
        Number of clusters wanted.
    training
        Settings.
    threads
        Number of threads. The result does not depend on it.

    Returns
    -------
    Clustering
        At most ``n_clusters`` clusters.
    """
    return train_shuffled(X[shuffle(len(X), training)], n_clusters, training, threads)


def shuffle(n: int, training: Training) -> IndexArray:
    """Choose the order in which :func:`train` looks at the rows.

    Parameters
    ----------
    n
        Number of rows.
    training
        Settings, of which the seed counts.

    Returns
    -------
    ndarray
        (n,) int64. A permutation of the positions 0 to n - 1.
    """
    return np.random.default_rng(training.seed).permutation(n)


def train_shuffled(
    X: FloatArray, n_clusters: int, training: Training, threads: int = 1
) -> Clustering:
    """Cluster rows that are already in the order of :func:`shuffle`; see :func:`train`.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows in that order; rounded in place.
    n_clusters
        Number of clusters wanted.
    training
        Settings.
    threads
        Number of threads. The result does not depend on it.

    Returns
    -------
    Clustering
        At most ``n_clusters`` clusters.
    """
    with threadpool_limits(1, user_api="blas"):
        round_to_grid(X)
        start = first_centroids(X, min(n_clusters, len(X)), training)
        if training.seeding != "rows":
            start = _warmed(X, start, training, threads)
        return refine(ArrayData(X, threads, rounded=True), start, training)


def _warmed(X: FloatArray, start: FloatArray, training: Training, threads: int) -> FloatArray:
    """Run some iterations on a part of ``X``, where that part is much smaller than ``X``."""
    part = X[: _WARM_ROWS * len(start)]
    if 2 * len(part) > len(X):
        return start
    few = replace(training, max_iterations=min(_WARM_ITERATIONS, training.max_iterations))
    return with_as_many(refine(ArrayData(part, threads, rounded=True), start, few), len(start))


def refine(data: KMeansData, start: FloatArray, training: Training) -> Clustering:
    """Run Lloyd's iterations on all rows of ``data``.

    Parameters
    ----------
    data
        The rows to cluster.
    start
        (k, d) float32. Centroids to start from.
    training
        Settings.

    Returns
    -------
    Clustering
        At most k clusters.
    """
    return spherical_lloyd(
        data, start, max_iterations=training.max_iterations, tolerance=training.tolerance
    )


def with_as_many(fitted: Clustering, k: int) -> FloatArray:
    """Fill up the centroids of a clustering to k.

    The largest clusters appear a second time in place of those that were dropped as empty. The next
    iteration finds these copies empty again and moves them.

    Parameters
    ----------
    fitted
        A clustering of at most k clusters.
    k
        Number of centroids wanted.

    Returns
    -------
    ndarray
        (k, d) float32. Unit rows.
    """
    missing = k - len(fitted.centroids)
    largest = np.argsort(-fitted.counts, kind="stable")[np.arange(missing) % len(fitted.counts)]
    return np.concatenate([fitted.centroids, fitted.centroids[largest]])


def first_centroids(X: FloatArray, k: int, training: Training) -> FloatArray:
    """Choose rows to start from.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows in random order, n >= k.
    k
        Number of rows to choose.
    training
        Settings. The seeding ``rows`` takes the first k rows. ``plusplus`` runs greedy k-means++
        with several candidates per step, as scikit-learn does, on the first 16 k rows or 4,096,
        whichever is more. Its distance is half the squared one, 1 - cosine. For long rows it is
        measured between sketches, which fit into the processor's cache.

    Returns
    -------
    ndarray
        (k, d) float32. Rows of ``X``.

    References
    ----------
    Arthur, D. and Vassilvitskii, S. (2007). k-means++: The advantages of careful seeding. SODA.
    """
    if training.seeding == "rows":
        return X[:k]
    part = _coarse_rows(X[: max(_LEAST_ROWS, _PLUS_PLUS_ROWS * k)])
    random = np.random.default_rng(training.seed)
    if part.shape[1] > _SKETCH_LENGTH:
        part = _sketches(part)
    half = (part * part).sum(axis=1) / 2
    chosen = [0]
    distance = _distances(part, half, np.array([0]))[0]
    while len(chosen) < k:
        mass = np.cumsum(distance, dtype=np.float64)
        if mass[-1] <= 0:  # fewer distinct rows than k
            chosen += [chosen[-1]] * (k - len(chosen))
            break
        at = random.random(_PLUS_PLUS_TRIALS) * mass[-1]
        candidates = np.minimum(np.searchsorted(mass, at, side="right"), len(part) - 1)
        reached = np.minimum(distance, _distances(part, half, candidates))
        best = int(reached.sum(axis=1, dtype=np.float64).argmin())
        chosen.append(int(candidates[best]))
        distance = reached[best]
    return X[chosen]


def _coarse_rows(X: FloatArray) -> FloatArray:
    """Round unit rows to multiples of 2**-11.

    Their dot products are multiples of 2**-22 below 4. Float32 adds these without rounding, so no
    bit of them depends on how a product is computed.
    """
    return np.asarray(np.rint(X * np.float32(2**11)) / np.float32(2**11), dtype=np.float32)


def _sketches(X: FloatArray) -> FloatArray:
    """Project coarse rows to 64 numbers by random signs (Achlioptas 2003).

    Squared distances are right to about a fifth, and equal rows stay equal. The result is rounded
    to multiples of 2**-9. So its entries, and their dot products below 64, are exact like those of
    coarse rows.
    """
    signs = np.random.default_rng(0).integers(0, 2, (X.shape[1], _SKETCH_LENGTH)) * 2 - 1
    projected = X @ signs.astype(np.float32) / np.float32(_SKETCH_LENGTH**0.5)
    return np.asarray(np.rint(projected * np.float32(2**9)) / np.float32(2**9), dtype=np.float32)


def _distances(part: FloatArray, half: FloatArray, rows: IndexArray) -> FloatArray:
    """Compute half the squared distances of some rows of ``part`` to all of them, exactly."""
    return np.asarray(half[rows][:, None] + half - part[rows] @ part.T)


def apportion(n_clusters: int, weights: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Divide clusters among cells in proportion to weights, by largest remainders.

    Parameters
    ----------
    n_clusters
        Number of clusters to divide, at least the number of cells.
    weights
        (c,) numbers. Weight of each cell, such as its rows.

    Returns
    -------
    ndarray
        (c,) int64. Clusters of each cell, at least one, adding up to ``n_clusters``. The first cell
        wins ties.
    """
    rows = np.maximum(np.asarray(weights, dtype=np.float64), 1e-6)
    spare = n_clusters - len(rows)
    wanted = spare * rows / rows.sum()
    shares = np.floor(wanted).astype(np.int64)
    rest = spare - int(shares.sum())
    shares[np.argsort(shares - wanted, kind="stable")[:rest]] += 1
    return np.asarray(shares + 1)
