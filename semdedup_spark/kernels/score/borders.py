"""Exact recall: which rows must visit other clusters so that no duplicate pair is missed.

Let the unit vectors x (cluster a) and y (cluster b) have a cosine of at least 1 - eps_max. Then ||x
- y|| <= sqrt(2 eps_max). The border between a and b is a hyperplane through the origin, and x and y
lie on different sides of it. Their distances to it therefore add up to at most ||x - y||, and one
of the two is within sqrt(eps_max / 2) of the border. If every row visits each cluster whose border
is that near, every such pair meets, for any centroids.

Where only some rows visit other clusters, such as new rows, each must go twice as far. The distance
of x to the border is not negative, so the distance of y alone is at most ||x - y||. If y visits
every cluster whose border is within sqrt(2 eps_max), it meets all its partners x, and no x needs to
visit the cluster of y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray, nearest
from semdedup_spark.kernels.cluster.sample_plan import LARGEST_FLAT
from semdedup_spark.kernels.score.routes import Visits
from semdedup_spark.kernels.vectors import (
    FLOAT32_NOISE,
    FloatArray,
    IndexArray,
    paired_similarity,
)

# Products of rows and centroids per block, so that they fit in memory.
BLOCK_ENTRIES = 4_000_000


def margin(eps_max: float, *, alone: bool = False) -> float:
    """Compute the distance to a border within which a row must visit the other side.

    Parameters
    ----------
    eps_max
        The horizon: pairs with a cosine of at least ``1 - eps_max`` must meet.
    alone
        Whether the rows of the other side do not visit.

    Returns
    -------
    float
        Euclidean distance.
    """
    return math.sqrt(eps_max * 2) if alone else math.sqrt(eps_max / 2)


@dataclass(frozen=True)
class Borders:
    """The clusters and the near borders of n rows.

    Attributes
    ----------
    assignment
        The cluster of each row.
    visits
        Visits that the rows make, at most ``budget`` per row, nearest borders first.
    cut
        Required visits beyond the budget; empty without a budget.
    cut_distance
        (c,) float32. Distance of the row to the border for each visit in ``cut``.
    """

    assignment: Assignment
    visits: Visits
    cut: Visits
    cut_distance: FloatArray

    def is_cut(self) -> npt.NDArray[np.bool_]:
        """Tell which rows had a required visit cut.

        Returns
        -------
        ndarray
            (n,) bool.
        """
        flags = np.zeros(len(self.assignment.labels), dtype=bool)
        flags[self.cut.row] = True
        return flags


class Prober:
    """Assigns rows to clusters and finds the borders within the margin.

    It holds a (k, k) table of distances between centroids where k is at most 4,096.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    eps_max
        The horizon; see :func:`margin`.
    budget
        Most visits per row; ``None`` for all that are required.
    alone
        Whether the rows of the other side do not visit.
    """

    def __init__(
        self,
        centroids: FloatArray,
        *,
        eps_max: float,
        budget: int | None = None,
        alone: bool = False,
    ) -> None:
        self._centroids = centroids
        self._reach = np.float32(margin(eps_max, alone=alone))
        self._budget = budget
        self._table = (
            centroid_gaps(centroids, centroids) if len(centroids) <= LARGEST_FLAT else None
        )

    def __call__(self, X: FloatArray) -> Borders:
        """Assign rows and find their visits.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        Borders
            The clusters and the visits of the rows.
        """
        n, k = len(X), len(self._centroids)
        labels = np.empty(n, dtype=np.int32)
        found: list[_Reached] = [_NOTHING]
        block = max(1, BLOCK_ENTRIES // k)
        for start in range(0, n, block):
            rows = slice(start, start + block)
            labels[rows], products = nearest(X[rows], self._centroids)
            found.append(self._within_reach(products, labels[rows]).moved(start))
        reached = _Reached(
            np.concatenate([part.row for part in found]),
            np.concatenate([part.cluster for part in found]),
            np.concatenate([part.distance for part in found]),
        )
        assignment = Assignment(labels, paired_similarity(X, self._centroids[labels]))
        return _within_budget(assignment, reached, self._budget)

    def _within_reach(self, products: FloatArray, labels: LabelArray) -> _Reached:
        """Find the near borders of a block of rows.

        Allowing for float32 noise adds a few superfluous visits, which are harmless.
        """
        n, k = products.shape
        here = np.arange(n)
        own = products[here, labels]
        gaps = self._gaps_of(labels)
        near = products + self._reach * gaps >= (own - FLOAT32_NOISE)[:, None]
        near[here, labels] = False
        flat = np.flatnonzero(near)
        row, cluster = flat // k, flat % k
        lead = np.maximum(own[row] - products[row, cluster] - FLOAT32_NOISE, 0)
        return _Reached(row, cluster.astype(np.int32), lead / gaps[row, cluster])

    def _gaps_of(self, labels: LabelArray) -> FloatArray:
        """Distances from the centroid of each row's label to all centroids, (n, k)."""
        if self._table is not None:
            return self._table[labels]
        present, position = np.unique(labels, return_inverse=True)
        return centroid_gaps(self._centroids[present], self._centroids)[position]


def centroid_gaps(A: FloatArray, B: FloatArray) -> FloatArray:
    """Compute ||a - b|| for all pairs of unit rows, rounded up a little and never 0.

    Parameters
    ----------
    A
        (a, d) float32. Unit rows.
    B
        (b, d) float32. Unit rows.

    Returns
    -------
    ndarray
        (a, b) float32.
    """
    squared = 2 - 2 * (A @ B.T)
    gaps: FloatArray = np.sqrt(np.maximum(squared, 0) + 2 * FLOAT32_NOISE)
    return gaps


@dataclass(frozen=True)
class _Reached:
    """Borders within reach of rows.

    Attributes
    ----------
    row
        (m,) int64. Position of the row.
    cluster
        (m,) int32. Cluster on the other side of the border.
    distance
        (m,) float32. Lower bound of the row's distance to the border.
    """

    row: IndexArray
    cluster: LabelArray
    distance: FloatArray

    def moved(self, by: int) -> _Reached:
        return _Reached(self.row + by, self.cluster, self.distance)


_NOTHING = _Reached(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def _within_budget(assignment: Assignment, reached: _Reached, budget: int | None) -> Borders:
    if budget is None:
        return Borders(
            assignment,
            Visits(reached.row, reached.cluster),
            Visits(_NOTHING.row, _NOTHING.cluster),
            _NOTHING.distance,
        )
    order = np.lexsort((reached.cluster, reached.distance, reached.row))
    row, cluster = reached.row[order], reached.cluster[order]
    # The place of each border among those of its row, nearest first.
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    place = np.arange(len(row)) - np.repeat(starts, np.diff(np.r_[starts, len(row)]))
    kept = place < budget
    return Borders(
        assignment,
        Visits(row[kept], cluster[kept]),
        Visits(row[~kept], cluster[~kept]),
        reached.distance[order][~kept],
    )


@dataclass(frozen=True)
class Probing:
    """Rows visit every cluster whose border a pair above ``1 - eps_max`` could cross.

    Attributes
    ----------
    eps_max
        The horizon; see :func:`margin`.
    budget
        Most visits per row, to the nearest borders; ``None`` for all that are required.
    """

    eps_max: float
    budget: int | None = None
