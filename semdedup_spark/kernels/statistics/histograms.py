"""How similar the rows of a cluster are: to its centroid, and to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray

Counts = npt.NDArray[np.int64]
_BLOCK = 1024


def pairwise_counts(X: FloatArray, edges: npt.NDArray[np.float64]) -> Counts:
    """(b,) how many of the n * (n - 1) / 2 pairs of rows have a cosine in each bin.

    ``X``: (n, d) float32, unit rows; ``edges``: (b + 1,) ascending, from -1 or less to 1: cosines
    are clipped to the range. Exact, in memory of one block of rows by n.
    """
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        products = np.clip(block @ X[start:].T, edges[0], edges[-1])  # (b, n - start)
        later = np.triu(np.ones(products.shape, dtype=bool), k=1)
        counts += np.histogram(products[later], edges)[0]
    return counts


@dataclass(frozen=True)
class ClusterHistograms:
    """Of one cluster, before and after: counts in the bins between ``edges`` of the cosines of its
    rows to the centroid and of all its pairs of rows.
    """

    cluster: int
    n_before: int
    n_after: int
    edges: npt.NDArray[np.float64]
    centroid_before: Counts
    centroid_after: Counts
    pairs_before: Counts
    pairs_after: Counts


def cluster_histograms(
    X: FloatArray,
    labels: npt.NDArray[np.int32],
    similarity: FloatArray,
    kept: npt.NDArray[np.bool_],
    *,
    n_bins: int = 40,
) -> list[ClusterHistograms]:
    """One for each cluster, largest first; all with the same bins, which reach from the least to
    the highest cosine of any pair. ``X``: (n, d) unit rows; ``labels``, ``similarity``: (n,) the
    cluster and the cosine to its centroid; ``kept``: (n,) whether pruning left the row.
    """
    members = {int(c): np.flatnonzero(labels == c) for c in np.unique(labels)}
    low = min(float((X[rows] @ X[rows].T).min()) for rows in members.values())
    edges = np.linspace(min(low, float(similarity.min())), 1.0, n_bins + 1)
    found = []
    for cluster, rows in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        after = rows[kept[rows]]
        found.append(
            ClusterHistograms(
                cluster,
                len(rows),
                len(after),
                edges,
                np.histogram(np.minimum(similarity[rows], 1.0), edges)[0],
                np.histogram(np.minimum(similarity[after], 1.0), edges)[0],
                pairwise_counts(X[rows], edges),
                pairwise_counts(X[after], edges),
            )
        )
    return found
