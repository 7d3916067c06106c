"""The directions of coarse cells of clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray, unit_rows


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
