"""Partial sums of k-means, which are exact and can be merged in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray

# Multiples of this number add up exactly in float64 as long as the sum stays below 2**23.
_GRID = 2.0**-30
# Rows rounded at a time.
_BLOCK_ROWS = 64


@dataclass(frozen=True)
class PartialSums:
    """What some rows contribute to an iteration; ``a + b`` merges two contributions.

    Attributes
    ----------
    sums
        (k, d) float64. Exact sum of the rows of each cluster.
    counts
        (k,) int64. Number of rows of each cluster.
    """

    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    def __add__(self, other: PartialSums) -> PartialSums:
        return PartialSums(self.sums + other.sums, self.counts + other.counts)

    def objective(self, centroids: FloatArray) -> float:
        """Compute the mean similarity of the rows to the centroids that they were assigned to.

        Parameters
        ----------
        centroids
            (k, d) float32. The centroids that the rows were assigned to.

        Returns
        -------
        float
            Mean cosine, 0 where there are no rows.
        """
        total = (self.sums * centroids.astype(np.float64)).sum()
        return float(total / max(int(self.counts.sum()), 1))


class KMeansData(Protocol):
    """The rows to cluster, wherever they are."""

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """Assign every row to its nearest centroid and sum the rows of each cluster.

        Parameters
        ----------
        centroids
            (k, d) float32. Unit rows.

        Returns
        -------
        PartialSums
            Sums and counts of all rows.
        """


def on_grid(X: FloatArray) -> FloatArray:
    """Round entries to multiples of 2**-30, which float32 can represent.

    Float64 adds 8 million such numbers without rounding, so a sum has the same bits in any order
    and grouping. Entries change by at most 5e-10, less than float32 resolves above 0.01.

    Parameters
    ----------
    X
        (n, d) float32. Entries in [-1, 1].

    Returns
    -------
    ndarray
        (n, d) float32. A rounded copy.
    """
    return round_to_grid(np.array(X, dtype=np.float32))


def round_to_grid(X: FloatArray) -> FloatArray:
    """Round ``X`` in place as :func:`on_grid` does.

    It works in blocks that stay in the cache: touching new memory costs several times as much as
    rounding.

    Parameters
    ----------
    X
        (n, d) float32. Entries in [-1, 1]; changed in place.

    Returns
    -------
    ndarray
        ``X`` itself.
    """
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = X[start : start + _BLOCK_ROWS]
        np.rint(rows * np.float32(1 / _GRID), out=rows)
        rows *= np.float32(_GRID)
    return X
