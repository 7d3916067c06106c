"""Spherical k-means: assignment, mergeable partial sums, and Lloyd's iteration.

The iteration asks its data for one thing, :class:`PartialSums` under given centroids, and so never
learns whether the rows lie in one array or in a thousand partitions. Sums are exact (see
:func:`on_grid`), so that not a bit of the centroids depends on how rows are split or ordered.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray, paired_similarity, unit_rows

LabelArray = npt.NDArray[np.int32]

# Two float32 dot products of the same unit vectors, summed in different orders, differ by less.
FLOAT32_NOISE = 4e-6
# Rows at a time: products of about 4 MB, also for 50,000 clusters.
_BLOCK_ENTRIES = 2**20
_LEAST_ROWS, _MOST_ROWS = 64, 2048
# Multiples of this add up exactly in float64 as long as the sum stays below 2**23.
_GRID = 2.0**-30


@dataclass(frozen=True)
class Assignment:
    """``labels``: (n,) int32; ``similarity``: (n,) float32, cosine to the own centroid."""

    labels: LabelArray
    similarity: FloatArray


def assign(X: FloatArray, centroids: FloatArray) -> Assignment:
    """Nearest centroid by dot product, ties to the lower id.

    ``X``: (n, d), ``centroids``: (k, d), float32, unit rows. A row's label and similarity do not
    depend on the other rows in the batch: where the float32 products of two centroids are too
    close to call, the choice is made again in float64.
    """
    labels = nearest_labels(X, centroids)
    return Assignment(labels, paired_similarity(X, centroids[labels]))


def nearest_labels(
    X: FloatArray, centroids: FloatArray, pool: Executor | None = None
) -> LabelArray:
    """The labels of :func:`assign`; ``pool``: threads to share blocks of rows among."""
    labels = np.empty(len(X), dtype=np.int32)
    size = block_rows(len(centroids))

    def label(start: int) -> None:
        rows = slice(start, start + size)
        labels[rows], _ = nearest(X[rows], centroids)

    list((pool.map if pool else map)(label, range(0, len(X), size)))
    return labels


def block_rows(n_clusters: int) -> int:
    """Rows at a time, whose products with all centroids stay in the cache, or in memory."""
    return max(_LEAST_ROWS, min(_MOST_ROWS, _BLOCK_ENTRIES // max(n_clusters, 1)))


def nearest(X: FloatArray, centroids: FloatArray) -> tuple[LabelArray, FloatArray]:
    """(n,) labels as in :func:`assign`, and the (n, k) products that decided them."""
    products = X @ centroids.T  # (b, d) x (d, k) -> (b, k)
    labels: LabelArray = products.argmax(axis=1).astype(np.int32)
    here = np.arange(len(X))
    best = products[here, labels]
    # The second best, by taking the best out for a moment: an eighth of a comparison's time.
    products[here, labels] = -np.inf
    rivals = products.max(axis=1) >= best - FLOAT32_NOISE
    products[here, labels] = best
    for row in np.flatnonzero(rivals):
        candidates = np.flatnonzero(products[row] >= best[row] - FLOAT32_NOISE)
        exact = (centroids[candidates].astype(np.float64) * X[row].astype(np.float64)).sum(axis=1)
        labels[row] = candidates[exact.argmax()]  # argmax keeps the first, hence the lower id
    return labels, products


@dataclass(frozen=True)
class PartialSums:
    """What some rows add to an iteration; ``a + b`` merges the rows of two places.

    ``sums``: (k, d) float64, exact sum of the rows of each cluster; ``counts``: (k,) int64.
    """

    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    def __add__(self, other: PartialSums) -> PartialSums:
        return PartialSums(self.sums + other.sums, self.counts + other.counts)

    def objective(self, centroids: FloatArray) -> float:
        """Mean similarity of the rows to the centroids that they were assigned to."""
        total = (self.sums * centroids.astype(np.float64)).sum()
        return float(total / max(int(self.counts.sum()), 1))


class KMeansData(Protocol):
    """The rows to cluster, wherever they are."""

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """Assign every row to ``centroids`` (k, d) and sum up."""


def on_grid(X: FloatArray) -> FloatArray:
    """``X`` (n, d), entries in [-1, 1], rounded to multiples of 2**-30, which float32 can hold.

    Float64 adds 8 million such numbers without rounding, so a sum has the same bits whatever the
    order and grouping. Entries move by 5e-10 at most, less than float32 resolves above 0.01.
    """
    return round_to_grid(np.array(X, dtype=np.float32))


def round_to_grid(X: FloatArray) -> FloatArray:
    """``X`` itself, float32, changed to what :func:`on_grid` says. In blocks that stay in the
    cache: memory that was never touched costs several times what rounding does.
    """
    for start in range(0, len(X), _LEAST_ROWS):
        rows = X[start : start + _LEAST_ROWS]
        np.rint(rows * np.float32(1 / _GRID), out=rows)
        rows *= np.float32(_GRID)
    return X


class ArrayData:
    """Rows in one array of this process. ``X``: (n, d) float32, unit rows; ``threads``: that
    products and sums are shared among; give BLAS one thread then; ``rounded``: whether ``X`` is on
    the grid already.
    """

    def __init__(self, X: FloatArray, threads: int = 1, *, rounded: bool = False) -> None:
        self._X = X if rounded else on_grid(X)
        self._threads = threads

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """See :class:`KMeansData`."""
        if self._threads == 1:
            return self._summed(centroids, None)
        with ThreadPoolExecutor(self._threads) as pool:
            return self._summed(centroids, pool)

    def _summed(self, centroids: FloatArray, pool: Executor | None) -> PartialSums:
        labels = nearest_labels(self._X, centroids, pool)
        sums = np.zeros(centroids.shape, dtype=np.float64)
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels, minlength=len(centroids)).astype(np.int64)
        ends = np.cumsum(counts)

        # A loop over clusters is five times as fast as np.add.reduceat along the first axis.
        def add(label: int) -> None:
            rows = order[ends[label] - counts[label] : ends[label]]
            sums[label] = self._X[rows].sum(axis=0, dtype=np.float64)

        list((pool.map if pool else map)(add, np.flatnonzero(counts).tolist()))
        return PartialSums(sums, counts)


@dataclass(frozen=True)
class Clustering:
    """``centroids``: (k, d) float32, unit rows, none empty; ``counts``: (k,) int64 rows in each;
    ``objective``: mean similarity to the own centroid after each iteration, the last one being
    that of ``centroids``; ``cells``: (k,) int32, with two levels the cell of each cluster.
    """

    centroids: FloatArray
    counts: npt.NDArray[np.int64]
    objective: list[float]
    cells: LabelArray | None = None


def spherical_lloyd(
    data: KMeansData, start: FloatArray, *, max_iterations: int, tolerance: float
) -> Clustering:
    """Lloyd's iteration on the unit sphere from the given start.

    ``start``: (k, d) float32. Stops after ``max_iterations`` or when the mean similarity grows by
    less than ``tolerance``, relatively. An empty cluster is re-seeded beside the largest one;
    those still empty at the end (fewer distinct rows than k) are dropped.
    """
    centroids = unit_rows(start).X
    history: list[float] = []
    for _ in range(max_iterations):
        sums = data.partial_sums(centroids)
        history.append(sums.objective(centroids))
        if len(history) > 1 and history[-1] - history[-2] <= tolerance * abs(history[-2]):
            break
        centroids = _reseed_empty(_means(sums, centroids), sums.counts)
    else:
        sums = data.partial_sums(centroids)
        history.append(sums.objective(centroids))
    filled = sums.counts > 0
    return Clustering(centroids[filled], sums.counts[filled], history)


def _means(sums: PartialSums, previous: FloatArray) -> FloatArray:
    """Unit means; a cluster whose sum has no direction keeps its previous centroid."""
    means = unit_rows(sums.sums)
    lost = np.array([reason is not None for reason in means.reasons])
    return np.where(lost[:, None], previous, means.X).astype(np.float32)


def _reseed_empty(centroids: FloatArray, counts: npt.NDArray[np.int64]) -> FloatArray:
    """Put each empty centroid a small step beside one of the largest clusters."""
    empty = np.flatnonzero(counts == 0)
    if len(empty) == 0:
        return centroids
    largest = np.argsort(-counts, kind="stable")[: max(1, len(counts) - len(empty))]
    moved = centroids.astype(np.float64)
    for turn, cluster in enumerate(empty):
        donor = largest[turn % len(largest)]
        step = np.random.default_rng(int(cluster)).standard_normal(centroids.shape[1])
        moved[cluster] = moved[donor] + 0.05 * step / np.linalg.norm(step)
    return unit_rows(moved).X
