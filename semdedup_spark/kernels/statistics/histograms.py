"""Histograms of the similarity of a cluster's rows, to the centroid and to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray

Counts = npt.NDArray[np.int64]
# Rows per block of pairs.
_BLOCK = 1024


def pairwise_counts(X: FloatArray, edges: npt.NDArray[np.float64]) -> Counts:
    """Count how many of the n * (n - 1) / 2 pairs of rows have a cosine in each bin.

    The counts are exact. Memory holds the products of one block of rows with all n rows.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    edges
        (b + 1,) float64, ascending, from -1 or less to 1. Cosines are clipped to this range.

    Returns
    -------
    ndarray
        (b,) int64. Number of pairs in each bin.
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
    """Histograms of one cluster, before and after rows were removed.

    Attributes
    ----------
    cluster
        Number of the cluster.
    n_before
        Rows of the cluster before.
    n_after
        Rows of the cluster after.
    edges
        (b + 1,) float64, ascending. Edges of the bins of cosines.
    centroid_before
        (b,) int64. Rows by their cosine to the centroid, before.
    centroid_after
        (b,) int64. Rows by their cosine to the centroid, after.
    pairs_before
        (b,) int64. Pairs of rows by their cosine, before.
    pairs_after
        (b,) int64. Pairs of rows by their cosine, after.
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
    """Compute the histograms of each cluster.

    All clusters have the same bins. These reach from the lowest cosine, of a pair within a cluster
    or of a row to its centroid, up to 1.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    labels
        (n,) int32. Cluster of each row.
    similarity
        (n,) float32. Cosine of each row to its centroid.
    kept
        (n,) bool. Whether the row is still there afterwards.
    n_bins
        Number of bins.

    Returns
    -------
    list[ClusterHistograms]
        One for each cluster, the largest cluster first.
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
