"""Spherical k-means: assignment, mergeable partial sums, and Lloyd's iteration.

The iteration asks its data for one thing, :class:`PartialSums` under given centroids, and so never
learns whether the rows lie in one array or in a thousand partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray, paired_similarity, unit_rows

LabelArray = npt.NDArray[np.int32]

# Two float32 dot products of the same unit vectors, summed in different orders, differ by less.
_FLOAT32_NOISE = 4e-6
# Rows at a time, so that (rows x clusters) fits in memory also for 50,000 clusters.
_BLOCK_ROWS = 2048
_BLOCK_ENTRIES = 8_000_000


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
    labels = np.empty(len(X), dtype=np.int32)
    similarity = np.empty(len(X), dtype=np.float32)
    size = max(1, min(_BLOCK_ROWS, _BLOCK_ENTRIES // max(len(centroids), 1)))
    for start in range(0, len(X), size):
        block = slice(start, start + size)
        labels[block], _ = nearest(X[block], centroids)
        similarity[block] = paired_similarity(X[block], centroids[labels[block]])
    return Assignment(labels, similarity)


def nearest(X: FloatArray, centroids: FloatArray) -> tuple[LabelArray, FloatArray]:
    """(n,) labels as in :func:`assign`, and the (n, k) products that decided them."""
    products = X @ centroids.T  # (b, d) x (d, k) -> (b, k)
    labels: LabelArray = products.argmax(axis=1).astype(np.int32)
    best = products[np.arange(len(X)), labels]
    rivals = np.count_nonzero(products >= (best - _FLOAT32_NOISE)[:, None], axis=1) > 1
    for row in np.flatnonzero(rivals):
        candidates = np.flatnonzero(products[row] >= best[row] - _FLOAT32_NOISE)
        exact = (centroids[candidates].astype(np.float64) * X[row].astype(np.float64)).sum(axis=1)
        labels[row] = candidates[exact.argmax()]  # argmax keeps the first, hence the lower id
    return labels, products


@dataclass(frozen=True)
class PartialSums:
    """What one block of rows adds to an iteration; ``a + b`` merges two blocks.

    ``sums``: (k, d) float64, sum of the rows of each cluster; ``counts``: (k,) int64;
    ``objective``: sum of similarities to the own centroid, float64.
    """

    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    objective: float

    def __add__(self, other: PartialSums) -> PartialSums:
        return PartialSums(
            self.sums + other.sums, self.counts + other.counts, self.objective + other.objective
        )


class KMeansData(Protocol):
    """The rows to cluster, wherever they are."""

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """Assign every row to ``centroids`` (k, d) and sum up."""


class ArrayData:
    """Rows in one array of this process. ``X``: (n, d) float32, unit rows."""

    def __init__(self, X: FloatArray) -> None:
        self._X = X

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """See :class:`KMeansData`."""
        nearest = assign(self._X, centroids)
        sums = np.zeros(centroids.shape, dtype=np.float64)
        order = np.argsort(nearest.labels, kind="stable")
        present, starts = np.unique(nearest.labels[order], return_index=True)
        for label, rows in zip(present, np.split(order, starts[1:]), strict=True):
            sums[label] = self._X[rows].sum(axis=0, dtype=np.float64)
        counts = np.bincount(nearest.labels, minlength=len(centroids)).astype(np.int64)
        return PartialSums(sums, counts, float(nearest.similarity.sum(dtype=np.float64)))


@dataclass(frozen=True)
class Clustering:
    """``centroids``: (k, d) float32, unit rows, none empty; ``counts``: (k,) int64 rows in each;
    ``objective``: mean similarity to the own centroid after each iteration, the last one being
    that of ``centroids``.
    """

    centroids: FloatArray
    counts: npt.NDArray[np.int64]
    objective: list[float]


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
        history.append(sums.objective / max(int(sums.counts.sum()), 1))
        if len(history) > 1 and history[-1] - history[-2] <= tolerance * abs(history[-2]):
            break
        centroids = _reseed_empty(_means(sums, centroids), sums.counts)
    final = data.partial_sums(centroids)
    history.append(final.objective / max(int(final.counts.sum()), 1))
    filled = final.counts > 0
    return Clustering(centroids[filled], final.counts[filled], history)


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
