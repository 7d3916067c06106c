"""Clusters of vectors that fit in memory, and the rows that pruning or SemDeDup keeps of them.

It serves notebooks and sweeps, and runs the job's kernels without Spark. Centroids start from rows
chosen by the seed. The job starts by default from greedy k-means++. So the two find different
clusters, of about the same quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from semdedup_spark.config import ClusterConfig, PruneConfig, checked_stage
from semdedup_spark.kernels.cluster.lloyd import ArrayData, LabelArray, assign, spherical_lloyd
from semdedup_spark.kernels.cluster.partial_sums import KMeansData
from semdedup_spark.kernels.pruning import (
    N_BINS,
    Mask,
    PruneType,
    RankType,
    hash_ids,
    prune_clusters,
    random_scores,
)
from semdedup_spark.kernels.quotas import kept_share
from semdedup_spark.kernels.score.similarity import max_earlier_similarity
from semdedup_spark.kernels.vectors import FloatArray, unit_rows

_ITERATIONS = 20
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Clusters:
    """The clusters of n rows.

    Attributes
    ----------
    labels
        (n,) int32. Cluster of each row.
    similarity
        (n,) float32. Cosine of each row to its centroid.
    centroids
        (k, d) float32. Unit rows.
    """

    labels: LabelArray
    similarity: FloatArray
    centroids: FloatArray

    def prune(
        self,
        ratio: float,
        *,
        rank_type: RankType = "cossim",
        prune_type: PruneType = "diverse",
        exact_total: bool = False,
        n_bins: int = N_BINS,
        seed: int = 0,
    ) -> Mask:
        """Choose the rows that stay when each cluster keeps ``ratio`` percent (Heo & Chen 2024).

        The rows' positions serve as their ids. Raises ``ValueError`` if the job's stage prune would
        refuse an option.

        Parameters
        ----------
        ratio
            Percentage to keep, from 1 to 100.
        rank_type
            ``cossim`` ranks rows by their similarity to the centroid, ``random`` at random.
        prune_type
            See :func:`semdedup_spark.kernels.pruning.choose_rows`.
        exact_total
            See :func:`semdedup_spark.kernels.quotas.cluster_quotas`.
        n_bins
            Number of bins for ``stratified``.
        seed
            Seed of the random scores and of the order of ties.

        Returns
        -------
        ndarray
            (n,) bool. True for the rows that stay.
        """
        rule = checked_stage(
            PruneConfig,
            ratio=ratio,
            rank_type=rank_type,
            prune_type=prune_type,
            exact_total=exact_total,
            n_bins=n_bins,
            seed=seed,
        )
        key = hash_ids(np.arange(len(self.labels)), rule.seed)
        score = random_scores(key) if rule.rank_type == "random" else self.similarity
        return prune_clusters(
            self.labels,
            score,
            key,
            rule.ratio,
            rule.prune_type,
            exact_total=rule.exact_total,
            n_bins=rule.n_bins,
        )


def cluster_vectors(
    X: npt.ArrayLike,
    n_clusters: int,
    *,
    seed: int = 0,
    device: Literal["cpu", "cuda", "mps"] | str = "cpu",
) -> Clusters:
    """Cluster all rows by spherical k-means.

    Parameters
    ----------
    X
        (n, d), any float dtype, n >= 1. No row may be zero or not finite.
    n_clusters
        Number of clusters wanted; at most n are made.
    seed
        Seed of the rows to start from.
    device
        Where the iterations run: ``cpu``, or torch's name of a device. The CPU always decides the
        final labels.

    Returns
    -------
    Clusters
        The clusters.

    Raises
    ------
    ValueError
        If ``n_clusters`` is no number, ``X`` has no rows, or a row is zero or not finite.

    Examples
    --------
    >>> from semdedup_spark import cluster_vectors
    >>> clusters = cluster_vectors([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], n_clusters=2)
    >>> a, b, c, d = clusters.labels.tolist()
    >>> a == b, b == c, c == d
    (True, False, True)
    """
    chosen_options = checked_stage(ClusterConfig, n_clusters=n_clusters, seed=seed)
    if chosen_options.n_clusters == "auto":
        raise ValueError("n_clusters must be a number here. Got 'auto'.")
    unit = checked_unit_rows(X)
    chosen = np.random.default_rng(seed).choice(
        len(unit), min(n_clusters, len(unit)), replace=False
    )
    data: KMeansData = ArrayData(unit)
    if device != "cpu":
        from semdedup_spark.kernels.cluster.torch_lloyd import TorchData

        data = TorchData(unit, device)
    fitted = spherical_lloyd(
        data, unit[np.sort(chosen)], max_iterations=_ITERATIONS, tolerance=_TOLERANCE
    )
    nearest = assign(unit, fitted.centroids)
    return Clusters(nearest.labels, nearest.similarity, fitted.centroids)


def max_similarity_in_clusters(X: npt.ArrayLike, clusters: Clusters) -> FloatArray:
    """Compute SemDeDup's score within clusters.

    The score is the highest cosine of a row to a row of its cluster that ranks before it. As in the
    paper, rows far from the centroid rank first. The earlier row wins ties.

    Parameters
    ----------
    X
        (n, d), any float dtype. The rows that were clustered.
    clusters
        Their clusters.

    Returns
    -------
    ndarray
        (n,) float32 in [0, 1].

    Raises
    ------
    ValueError
        If ``X`` has another number of rows, or a row is zero or not finite.

    References
    ----------
    Abbas, A. et al. (2023). SemDeDup: Data-efficient learning at web-scale through semantic
    deduplication. arXiv:2303.09540.
    """
    unit = checked_unit_rows(X)
    if len(unit) != len(clusters.labels):
        raise ValueError(
            f"X must have the {len(clusters.labels)} rows that were clustered. Got {len(unit)}."
        )
    scores = np.zeros(len(unit), dtype=np.float32)
    for cluster in np.unique(clusters.labels):
        rows = np.flatnonzero(clusters.labels == cluster)
        rows = rows[np.argsort(clusters.similarity[rows], kind="stable")]
        scores[rows] = max_earlier_similarity(unit[rows]).max_similarity
    return scores


def keep_least_similar(scores: FloatArray, ratio: float, seed: int = 0) -> Mask:
    """Choose the rows that SemDeDup keeps at a given kept fraction: those with the lowest scores.

    Parameters
    ----------
    scores
        (n,) float32. Scores such as :func:`max_similarity_in_clusters`.
    ratio
        Percentage of all rows to keep, from 1 to 100; the number of rows is rounded up.
    seed
        Seed of the random choice among rows of equal score that cannot all stay.

    Returns
    -------
    ndarray
        (n,) bool. True for the rows that stay.

    Raises
    ------
    ValueError
        If a score is NaN, or ``ratio`` is not from 1 to 100.
    """
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers. Got NaN among them.")
    n_keep = int(-(-len(scores) * kept_share(ratio) // 1))
    order = np.lexsort((hash_ids(np.arange(len(scores)), seed), scores))
    kept = np.zeros(len(scores), dtype=bool)
    kept[order[:n_keep]] = True
    return kept


def checked_unit_rows(X: npt.ArrayLike) -> FloatArray:
    """Scale rows to length 1, and refuse rows that have no direction.

    Parameters
    ----------
    X
        (n, d), any float dtype.

    Returns
    -------
    ndarray
        (n, d) float32. Unit rows.

    Raises
    ------
    ValueError
        If ``X`` has no rows, or a row is zero or not finite.
    """
    unit = unit_rows(X)
    if not len(unit.X):
        raise ValueError(f"X must have at least one row. Got shape {unit.X.shape}.")
    bad = [row for row, reason in enumerate(unit.reasons) if reason is not None]
    if bad:
        raise ValueError(
            f"every row of X must be finite and not zero. {len(bad)} are not, such as row {bad[0]}."
        )
    return unit.X
