"""What may have been missed where a budget cut visits to other clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.borders import Borders, centroid_gaps, margin
from semdedup_spark.kernels.vectors import FLOAT32_NOISE, FloatArray


@dataclass(frozen=True)
class Notices:
    """Pairs of clusters between which visits were cut, with the row that came nearest.

    Attributes
    ----------
    home
        (m,) int32. Cluster of the rows that did not visit.
    cluster
        (m,) int32. Cluster that they did not visit.
    distance
        (m,) float32. Least distance of these rows to the border.
    """

    home: LabelArray
    cluster: LabelArray
    distance: FloatArray

    def to(self, cluster: int) -> Notices:
        """Select the notices about visits to one cluster.

        Parameters
        ----------
        cluster
            Number of the cluster.

        Returns
        -------
        Notices
            These notices.
        """
        here = self.cluster == cluster
        return Notices(self.home[here], self.cluster[here], self.distance[here])


def notices_of(borders: Borders) -> Notices:
    """Summarise the cut visits in one notice for each (own cluster, cluster not visited).

    Parameters
    ----------
    borders
        The visits of some rows.

    Returns
    -------
    Notices
        One entry per pair of clusters.
    """
    home = borders.assignment.labels[borders.cut.row]
    order = np.lexsort((borders.cut_distance, borders.cut.cluster, home))
    pairs = np.stack([home[order], borders.cut.cluster[order]])
    first = np.r_[True, (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)][: pairs.shape[1]]
    return Notices(pairs[0, first], pairs[1, first], borders.cut_distance[order][first])


def may_have_missed(
    X: FloatArray, cluster: int, notices: Notices, centroids: FloatArray, eps_max: float
) -> npt.NDArray[np.bool_]:
    """Find the rows that may be a duplicate of some row that did not visit.

    The distances to the border decide: those of a duplicate pair add up to at most ``2 *
    margin(eps_max)``.

    Parameters
    ----------
    X
        (n, d) float32. Members of ``cluster``. None of their own visits may have been cut, so that
        they have visited every cluster whose border lies within the margin.
    cluster
        Number of their cluster.
    notices
        The notices about visits to ``cluster``.
    centroids
        (k, d) float32. Unit rows.
    eps_max
        The horizon; see :func:`margin`.

    Returns
    -------
    ndarray
        (n,) bool. False where no duplicate can have been missed.
    """
    missed = np.zeros(len(X), dtype=bool)
    reach = margin(eps_max)
    own = X @ centroids[cluster]
    for home, distance in zip(notices.home, notices.distance, strict=True):
        gap = centroid_gaps(centroids[cluster][None], centroids[home][None])[0, 0]
        lead = own - X @ centroids[home]
        not_visited = lead + FLOAT32_NOISE > reach * gap
        missed |= not_visited & (lead - FLOAT32_NOISE <= (2 * reach - distance) * gap)
    return missed
