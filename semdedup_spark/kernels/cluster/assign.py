"""Assignment through two levels: first the nearest few cells, then the clusters inside them.

A cell is a group of clusters, and its direction is the mean of their centroids. A row is compared
with all cells and with the clusters of the ``N_CELLS`` nearest ones. That is about ``sqrt(k)``
products for each of these instead of k. Occasionally the nearest cluster lies in a cell further
away; the row then gets the nearest of the clusters that it saw. Its label is still a function of
the row and the centroids alone, whatever the batch: what float32 leaves open is decided in float64.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.cells import mean_directions
from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray, assign, nearest
from semdedup_spark.kernels.vectors import (
    FLOAT32_NOISE,
    FloatArray,
    IndexArray,
    paired_similarity,
)

# Cells that a row is compared with in detail.
N_CELLS = 8
_BLOCK_ROWS = 8192


class Assigner(Protocol):
    """Gives every row a cluster."""

    @property
    def centroids(self) -> FloatArray:
        """(k, d) float32, unit rows."""

    def assign(self, X: FloatArray) -> Assignment:
        """Assign each row to a cluster.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        Assignment
            The labels, and the similarities to the centroids.
        """


class OneLevel:
    """Assigns each row to the nearest of all centroids.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    """

    def __init__(self, centroids: FloatArray) -> None:
        self.centroids = centroids

    def assign(self, X: FloatArray) -> Assignment:
        """Assign each row; see :func:`semdedup_spark.kernels.cluster.lloyd.assign`.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        Assignment
            The labels, and the similarities to the centroids.
        """
        return assign(X, self.centroids)


class TwoLevels:
    """Assigns each row to the nearest centroid in the nearest cells.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    cells
        (k,) int32. Cell of each centroid, numbered from 0 without gaps.
    n_cells
        Number of cells that a row looks into.
    """

    def __init__(
        self, centroids: FloatArray, cells: npt.NDArray[np.int32], n_cells: int = N_CELLS
    ) -> None:
        self.centroids = centroids
        count = int(cells.max()) + 1
        self._n_cells = min(n_cells, count)
        self._directions = mean_directions(centroids, cells, count)
        order = np.argsort(cells, kind="stable")
        self._clusters = np.split(order, np.cumsum(np.bincount(cells, minlength=count))[:-1])
        self._inside = [centroids[clusters] for clusters in self._clusters]

    def assign(self, X: FloatArray) -> Assignment:
        """Find the nearest centroid in the nearest cells; the lower number wins ties.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        Assignment
            The labels, and the similarities to the centroids.
        """
        labels = np.empty(len(X), dtype=np.int32)
        for start in range(0, len(X), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            labels[rows] = self._labels(X[rows])
        return Assignment(labels, paired_similarity(X, self.centroids[labels]))

    def _labels(self, X: FloatArray) -> LabelArray:
        visited = self.nearest_cells(X)
        row = np.repeat(np.arange(len(X)), self._n_cells)
        order = np.argsort(visited.reshape(-1), kind="stable")
        cell = visited.reshape(-1)[order]
        starts = np.searchsorted(cell, np.arange(len(self._inside) + 1))
        best = np.full(len(X), -np.inf, dtype=np.float32)
        chosen = np.empty(len(X), dtype=np.int64)
        for number, (inside, clusters) in enumerate(zip(self._inside, self._clusters, strict=True)):
            rows = row[order[starts[number] : starts[number + 1]]]
            if len(rows):
                self._visit(X, rows, inside, clusters, best, chosen)
        return chosen.astype(np.int32)

    def _visit(
        self,
        X: FloatArray,
        rows: IndexArray,
        inside: FloatArray,
        clusters: IndexArray,
        best: FloatArray,
        chosen: IndexArray,
    ) -> None:
        """Compare ``rows`` with the clusters of one cell; update ``best`` and ``chosen``."""
        local, products = nearest(X[rows], inside)
        found = products[np.arange(len(rows)), local]
        known, candidates = best[rows], clusters[local]
        close = np.abs(found - known) <= 2 * FLOAT32_NOISE
        better = found > known
        if close.any():
            undecided = rows[close]
            there = exact_products(X[undecided], self.centroids[candidates[close]])
            here = exact_products(X[undecided], self.centroids[chosen[undecided]])
            lower = candidates[close] < chosen[undecided]
            better[close] = (there > here) | ((there == here) & lower)
        chosen[rows[better]] = candidates[better]
        best[rows[better]] = found[better]

    def nearest_cells(self, X: FloatArray) -> IndexArray:
        """Find the cells that each row looks into.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        ndarray
            (n, n_cells) int64. Numbers of cells, in no particular order.
        """
        products, p = X @ self._directions.T, self._n_cells
        if p == len(self._directions):
            return np.tile(np.arange(p), (len(X), 1))
        places = np.argpartition(-products, (p - 1, p), axis=1)
        here = np.arange(len(X))
        last, next_one = places[:, p - 1], places[:, p]
        gap = products[here, last] - products[here, next_one]
        for row in np.flatnonzero(gap <= 2 * FLOAT32_NOISE):
            # All cells that may be among the first p are ordered by float64 product, then number.
            level = products[row, last[row]]
            may = np.flatnonzero(products[row] >= level - 4 * FLOAT32_NOISE)
            exact = exact_products(
                np.broadcast_to(X[row], (len(may), X.shape[1])), self._directions[may]
            )
            places[row, :p] = may[np.argsort(-exact, kind="stable")[:p]]
        return places[:, :p]


def exact_products(A: FloatArray, B: FloatArray) -> npt.NDArray[np.float64]:
    """Compute the dot product of row i of ``A`` with row i of ``B`` in float64.

    Parameters
    ----------
    A
        (n, d) floats.
    B
        (n, d) floats.

    Returns
    -------
    ndarray
        (n,) float64.
    """
    return np.asarray((A.astype(np.float64) * B.astype(np.float64)).sum(axis=1))
