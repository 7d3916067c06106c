"""Coarse cells of clusters: how many clusters each one gets, and its direction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray, unit_rows


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


def mean_directions(
    centroids: FloatArray, cells: npt.NDArray[np.int32], n_cells: int
) -> FloatArray:
    """Compute the unit mean of the centroids of each cell.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    cells
        (k,) int32. Cell of each centroid.
    n_cells
        Number of cells.

    Returns
    -------
    ndarray
        (n_cells, d) float32. Unit rows. Where the centroids of a cell cancel out, its first
        centroid.
    """
    sums = np.zeros((n_cells, centroids.shape[1]), dtype=np.float64)
    np.add.at(sums, cells, centroids.astype(np.float64))
    means = unit_rows(sums)
    for cell, reason in enumerate(means.reasons):
        if reason is not None:
            means.X[cell] = centroids[np.flatnonzero(cells == cell)[0]]
    return means.X
