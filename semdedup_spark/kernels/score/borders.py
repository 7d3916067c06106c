"""Exact recall: which rows must visit other clusters so that no duplicate pair is missed.

Let unit vectors x (cluster a) and y (cluster b) have a cosine of at least 1 - eps_max. Then
||x - y|| <= sqrt(2 eps_max), and x and y lie on different sides of the border between a and b, so
their distances to it add up to at most ||x - y||: one of the two is within sqrt(eps_max / 2) of
the border (design section 5). If every row visits each cluster whose border is that near, every
pair meets, for any centroids whatever.

Where only some rows go visiting, new ones say, each goes twice as far: y's distance to the border
is not negative for x either, so it is itself at most ||x - y||. If y visits every cluster whose
border is within sqrt(2 eps_max), it meets all its partners x, and no x needs to visit y's cluster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray, nearest
from semdedup_spark.kernels.score.routes import Visits
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, paired_similarity

# Two float32 products of unit vectors differ from the true ones by less. Visiting a little too
# much is harmless; the bounds below err to that side.
PRODUCT_NOISE = 4e-6
# Rows at a time, so that (rows x clusters) fits in memory, and clusters up to which the distances
# between all centroids do.
_BLOCK_ENTRIES = 4_000_000
_LARGEST_TABLE = 4096


def margin(eps_max: float, *, alone: bool = False) -> float:
    """The distance to a border within which a row must visit the other side; ``alone``: where the
    rows of the other side do not visit.
    """
    return math.sqrt(eps_max * 2) if alone else math.sqrt(eps_max / 2)


@dataclass(frozen=True)
class Borders:
    """What is within reach of each of n rows.

    ``assignment``: its own cluster. ``visits``: those it makes, at most ``budget`` a row, nearest
    border first. ``cut``: required ones beyond the budget, ``cut_distance`` (float32) to their
    borders; both empty without a budget.
    """

    assignment: Assignment
    visits: Visits
    cut: Visits
    cut_distance: FloatArray

    def is_cut(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a required visit of the row was cut."""
        flags = np.zeros(len(self.assignment.labels), dtype=bool)
        flags[self.cut.row] = True
        return flags


class Prober:
    """Assigns rows to clusters and finds the borders within the margin.

    ``centroids``: (k, d) float32, unit rows; ``budget``: most visits a row, all that are required
    where ``None``; ``alone``: the rows on the other side stay at home. Holds a (k, k) table as
    long as that is small.
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
            centroid_gaps(centroids, centroids) if len(centroids) <= _LARGEST_TABLE else None
        )

    def __call__(self, X: FloatArray) -> Borders:
        """``X``: (n, d) float32, unit rows."""
        n, k = len(X), len(self._centroids)
        labels = np.empty(n, dtype=np.int32)
        found: list[_Reached] = [_NOTHING]
        block = max(1, _BLOCK_ENTRIES // k)
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
        n, k = products.shape
        here = np.arange(n)
        own = products[here, labels]
        gaps = self._gaps_of(labels)
        near = products + self._reach * gaps >= (own - PRODUCT_NOISE)[:, None]
        near[here, labels] = False
        flat = np.flatnonzero(near)
        row, cluster = flat // k, flat % k
        lead = np.maximum(own[row] - products[row, cluster] - PRODUCT_NOISE, 0)
        return _Reached(row, cluster.astype(np.int32), lead / gaps[row, cluster])

    def _gaps_of(self, labels: LabelArray) -> FloatArray:
        """(n, k) distances from the centroid of each row's label to all centroids."""
        if self._table is not None:
            return self._table[labels]
        present, position = np.unique(labels, return_inverse=True)
        return centroid_gaps(self._centroids[present], self._centroids)[position]


def centroid_gaps(A: FloatArray, B: FloatArray) -> FloatArray:
    """||a - b|| for all pairs of unit rows, rounded up a little, never 0."""
    squared = 2 - 2 * (A @ B.T)
    gaps: FloatArray = np.sqrt(np.maximum(squared, 0) + 2 * PRODUCT_NOISE)
    return gaps


@dataclass(frozen=True)
class _Reached:
    """``row`` is within ``distance`` of its border to ``cluster``; (m,) each."""

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
    # place of each border among those of its row, nearest first
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
class Notices:
    """Of each pair of clusters between which visits were cut, the one that came nearest.

    ``home``: the cluster of the rows that did not visit; ``cluster``: the one not visited;
    ``distance``: the least distance to the border among those rows; (m,) each.
    """

    home: LabelArray
    cluster: LabelArray
    distance: FloatArray

    def to(self, cluster: int) -> Notices:
        """Those about visits to one cluster."""
        here = self.cluster == cluster
        return Notices(self.home[here], self.cluster[here], self.distance[here])


def notices_of(borders: Borders) -> Notices:
    """One notice for each (own cluster, cluster not visited)."""
    home = borders.assignment.labels[borders.cut.row]
    order = np.lexsort((borders.cut_distance, borders.cut.cluster, home))
    pairs = np.stack([home[order], borders.cut.cluster[order]])
    first = np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)][: pairs.shape[1]]
    return Notices(pairs[0, first], pairs[1, first], borders.cut_distance[order][first])


def may_have_missed(
    X: FloatArray, cluster: int, notices: Notices, centroids: FloatArray, eps_max: float
) -> npt.NDArray[np.bool_]:
    """(n,) whether some row that did not visit may be a duplicate of the row, as far as the
    distances to the border can tell: they add up to at most ``2 * margin(eps_max)``.

    ``X``: (n, d), members of ``cluster`` none of whose own visits were cut, so that they have
    visited whatever lies within the margin; ``notices``: those to ``cluster``.
    """
    missed = np.zeros(len(X), dtype=bool)
    reach = margin(eps_max)
    own = X @ centroids[cluster]
    for home, distance in zip(notices.home, notices.distance, strict=True):
        gap = centroid_gaps(centroids[cluster][None], centroids[home][None])[0, 0]
        lead = own - X @ centroids[home]
        not_visited = lead + PRODUCT_NOISE > reach * gap
        missed |= not_visited & (lead - PRODUCT_NOISE <= (2 * reach - distance) * gap)
    return missed


@dataclass(frozen=True)
class Probing:
    """Rows visit every cluster whose border is near enough for a pair above ``1 - eps_max`` to
    cross it; at most the ``budget`` nearest ones where there is one.
    """

    eps_max: float
    budget: int | None = None
