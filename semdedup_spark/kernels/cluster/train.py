"""Training k-means on rows in one process, and what training in many needs besides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from semdedup_spark.kernels.cluster.lloyd import (
    ArrayData,
    Clustering,
    KMeansData,
    round_to_grid,
    spherical_lloyd,
)
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, unit_rows

_PLUS_PLUS_TRIALS = 8
_PLUS_PLUS_ROWS = 16  # a cluster
_LEAST_ROWS = 4096
_SKETCH_LENGTH = 64
# The first iterations, which only find the way, look at so many rows a cluster.
_WARM_ROWS, _WARM_ITERATIONS = 64, 5


@dataclass(frozen=True)
class Training:
    """Settings of the refinement. ``seeding``: ``rows`` or ``plusplus``, see
    :func:`first_centroids`; ``tolerance``: stop when the objective grows by less, relatively.
    """

    seed: int
    max_iterations: int
    tolerance: float
    seeding: str = "plusplus"


def train(X: FloatArray, n_clusters: int, training: Training, threads: int = 1) -> Clustering:
    """Spherical k-means of ``X`` (n, d), float32, unit rows, n >= 1. Which rows it starts from
    depends on their order; give them in a fixed one. The number of ``threads`` changes nothing.
    """
    return train_shuffled(X[shuffle(len(X), training)], n_clusters, training, threads)


def shuffle(n: int, training: Training) -> IndexArray:
    """The order in which :func:`train` looks at n rows."""
    return np.random.default_rng(training.seed).permutation(n)


def train_shuffled(
    X: FloatArray, n_clusters: int, training: Training, threads: int = 1
) -> Clustering:
    """See :func:`train`; ``X`` is in the order of :func:`shuffle`, and is rounded in its place."""
    with threadpool_limits(1, user_api="blas"):
        round_to_grid(X)
        start = first_centroids(X, min(n_clusters, len(X)), training)
        if training.seeding != "rows":
            start = _warmed(X, start, training, threads)
        return refine(ArrayData(X, threads, rounded=True), start, training)


def _warmed(X: FloatArray, start: FloatArray, training: Training, threads: int) -> FloatArray:
    """``start`` after some iterations on a part of ``X``, where that is much smaller."""
    part = X[: _WARM_ROWS * len(start)]
    if 2 * len(part) > len(X):
        return start
    few = replace(training, max_iterations=min(_WARM_ITERATIONS, training.max_iterations))
    return with_as_many(refine(ArrayData(part, threads, rounded=True), start, few), len(start))


def refine(data: KMeansData, start: FloatArray, training: Training) -> Clustering:
    """Iterations on all rows."""
    return spherical_lloyd(
        data, start, max_iterations=training.max_iterations, tolerance=training.tolerance
    )


def with_as_many(fitted: Clustering, k: int) -> FloatArray:
    """(k, d) centroids: those of ``fitted``, and the largest ones once more for what it dropped as
    empty; the next iteration finds these empty again and moves them.
    """
    missing = k - len(fitted.centroids)
    largest = np.argsort(-fitted.counts, kind="stable")[np.arange(missing) % len(fitted.counts)]
    return np.concatenate([fitted.centroids, fitted.centroids[largest]])


def first_centroids(X: FloatArray, k: int, training: Training) -> FloatArray:
    """(k, d) rows to start from. ``rows``: the first k, of rows in random order. ``plusplus``:
    greedy k-means++ (Arthur and Vassilvitskii 2007; scikit-learn's trials) on the first 16 k rows
    or 4,096, with half the squared distance, 1 - cosine; of long rows that of their sketches, which
    fit into a processor's cache.
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
    """Unit rows rounded to multiples of 2**-11. Their dot products are multiples of 2**-22 below 4,
    which float32 adds without rounding: not a bit of them depends on how a product is computed.
    """
    return np.asarray(np.rint(X * np.float32(2**11)) / np.float32(2**11), dtype=np.float32)


def _sketches(X: FloatArray) -> FloatArray:
    """(n, 64): projections of coarse rows whose squared distances are right to about a fifth
    (Achlioptas 2003: random signs); equal rows stay equal. Rounded to multiples of 2**-9, so that
    these, and their dot products below 64, are exact like those of coarse rows.
    """
    signs = np.random.default_rng(0).integers(0, 2, (X.shape[1], _SKETCH_LENGTH)) * 2 - 1
    projected = X @ signs.astype(np.float32) / np.float32(_SKETCH_LENGTH**0.5)
    return np.asarray(np.rint(projected * np.float32(2**9)) / np.float32(2**9), dtype=np.float32)


def _distances(part: FloatArray, half: FloatArray, rows: IndexArray) -> FloatArray:
    """(len(rows), n) half the squared distances of some of ``part`` to all, exact."""
    return np.asarray(half[rows][:, None] + half - part[rows] @ part.T)


def apportion(n_clusters: int, weights: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Share ``n_clusters`` among cells by their weights (rows), at least one each; sums to
    ``n_clusters``, which is at least the number of cells. Largest remainders, ties to the first.
    """
    rows = np.maximum(np.asarray(weights, dtype=np.float64), 1e-6)
    spare = n_clusters - len(rows)
    wanted = spare * rows / rows.sum()
    shares = np.floor(wanted).astype(np.int64)
    rest = spare - int(shares.sum())
    shares[np.argsort(shares - wanted, kind="stable")[:rest]] += 1
    return np.asarray(shares + 1)


def mean_directions(
    centroids: FloatArray, cells: npt.NDArray[np.int32], n_cells: int
) -> FloatArray:
    """(n_cells, d) unit means of the centroids of each cell; where they cancel out, the first."""
    sums = np.zeros((n_cells, centroids.shape[1]), dtype=np.float64)
    np.add.at(sums, cells, centroids.astype(np.float64))
    means = unit_rows(sums)
    for cell, reason in enumerate(means.reasons):
        if reason is not None:
            means.X[cell] = centroids[np.flatnonzero(cells == cell)[0]]
    return means.X
