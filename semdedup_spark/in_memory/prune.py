"""Clusters of vectors that one machine holds in memory, and what pruning or SemDeDup keeps of them.

For notebooks and sweeps: the job's own kernels without Spark. Centroids start from rows chosen by
the seed, the job's by default from greedy k-means++, so the two find different clusters of much the
same quality.
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
    """``labels``: (n,) int32; ``similarity``: (n,) float32, cosine to the own centroid;
    ``centroids``: (k, d) float32, unit rows.
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
        """(n,) which rows stay: ``ratio`` percent of each cluster (Heo & Chen), as
        :func:`semdedup_spark.kernels.pruning.prune_clusters` does it; ids are the rows' numbers.

        Raises ``ValueError`` where the job's stage prune would refuse an option.
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
    """Spherical k-means of all rows. ``X``: (n, d), any float dtype, no row zero or not finite;
    ``device``: where the iterations run; labels are always settled on the CPU.
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
    """(n,) float32: SemDeDup's score, the highest cosine of a row to one of its cluster that ranks
    before it; rows far from the centroid rank first, as in the paper, ties go to the earlier row.
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
    """(n,) SemDeDup's selection at a kept fraction: the rows of lowest score, ``ratio`` percent of
    all, rounded up. Of rows with one score that cannot all stay, chance decides.

    Raises ``ValueError`` where a score is NaN, or ``ratio`` no percentage from 1 to 100.
    """
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers. Got NaN among them.")
    n_keep = int(-(-len(scores) * kept_share(ratio) // 1))
    order = np.lexsort((hash_ids(np.arange(len(scores)), seed), scores))
    kept = np.zeros(len(scores), dtype=bool)
    kept[order[:n_keep]] = True
    return kept


def checked_unit_rows(X: npt.ArrayLike) -> FloatArray:
    """Rows of length 1. Raises ``ValueError`` where one has no direction."""
    unit = unit_rows(X)
    if not len(unit.X):
        raise ValueError(f"X must have at least one row. Got shape {unit.X.shape}.")
    bad = [row for row, reason in enumerate(unit.reasons) if reason is not None]
    if bad:
        raise ValueError(
            f"every row of X must be finite and not zero. {len(bad)} are not, such as row {bad[0]}."
        )
    return unit.X
