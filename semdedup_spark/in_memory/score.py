"""The score of vectors that fit in one machine's memory, by the job's kernels without Spark. With
``recall: exact`` it is what the job returns for the same order of rows, whatever the clusters.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from semdedup_spark.config import ClusterConfig, ScoreConfig, checked_stage
from semdedup_spark.kernels.cluster.cost import cheapest
from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.score.borders import Prober
from semdedup_spark.kernels.score.routes import HOME, SECOND, RoleArray, Visits
from semdedup_spark.kernels.score.running_max import NO_NEIGHBOR
from semdedup_spark.kernels.score.similarity import EarlierSimilarity, merge_best
from semdedup_spark.kernels.score.unit import score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.vectors import (
    FloatArray,
    HashArray,
    IndexArray,
    first_of_equal_rows,
    hash_rows,
    unit_rows,
)

_SAMPLE_PER_CLUSTER = 128
_ITERATIONS = 10
_TOLERANCE = 1e-3
_BLOCK_ROWS = 8192

_Unit = tuple[int, IndexArray, RoleArray]


@dataclass(frozen=True)
class VectorScores:
    """The scores of n rows, in the order given.

    Attributes
    ----------
    max_similarity
        (n,) float32. Highest cosine to a row that ranks before it, 0 where none is above the
        horizon.
    neighbor
        (n,) int64. Position of that row, -1 where there is none.
    labels
        (n,) int32. Cluster of each row.
    eps_max
        The horizon: cosines are known above ``1 - eps_max``.
    """

    max_similarity: FloatArray
    neighbor: IndexArray
    labels: LabelArray
    eps_max: float

    def kept(self, eps: float) -> npt.NDArray[np.bool_]:
        """Tell which rows stay at a threshold.

        A row stays if no earlier row is more similar than ``1 - eps``. The comparison is in
        float64, like the job's.

        Parameters
        ----------
        eps
            Threshold of SemDeDup, above 0 and at most ``eps_max``.

        Returns
        -------
        ndarray
            (n,) bool. True for the rows that stay.

        Raises
        ------
        ValueError
            If ``eps`` is not above 0 and at most ``eps_max``.
        """
        if not 0 < eps <= self.eps_max:
            raise ValueError(
                f"eps must be > 0 and <= eps_max ({self.eps_max}), the horizon up to which "
                f"scores are known. Got {eps}; score again with a larger eps_max."
            )
        kept: npt.NDArray[np.bool_] = self.max_similarity.astype(np.float64) <= 1.0 - float(eps)
        return kept


def score_vectors(
    X: npt.ArrayLike,
    *,
    rank: npt.ArrayLike | None = None,
    recall: Literal["exact", "cluster"] = "exact",
    eps_max: float = 0.1,
    n_clusters: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> VectorScores:
    """Compute the highest similarity of each row to any row before it.

    Parameters
    ----------
    X
        (n, d), any float dtype, n >= 1. Rows of any length, not all zeros.
    rank
        (n,) numbers. Rows with lower ones are preferred; the earlier row wins ties.
    recall
        ``exact`` finds every pair above ``1 - eps_max``, ``cluster`` only the pairs within a
        cluster.
    eps_max
        The horizon, see :class:`VectorScores`.
    n_clusters
        Number of clusters; by default the cheapest.
    seed
        Seed of the training of the centroids.
    threads
        By default as many as cores. The result does not depend on it.

    Returns
    -------
    VectorScores
        The scores. ``ValueError`` is raised if a row has no direction, or an option is wrong.

    References
    ----------
    Abbas, A. et al. (2023). SemDeDup: Data-efficient learning at web-scale through semantic
    deduplication. arXiv:2303.09540.

    Examples
    --------
    >>> from semdedup_spark import score_vectors
    >>> scores = score_vectors([[1, 0], [0, 1], [1, 0.1]], eps_max=0.1)
    >>> scores.kept(eps=0.05).tolist(), scores.neighbor.tolist()
    ([True, True, False], [-1, -1, 0])
    """
    _check_options(recall, eps_max, n_clusters, seed, threads)
    eps_max = float(eps_max)
    n_threads = threads or os.cpu_count() or 1
    # Each of our threads gets one BLAS thread: many small products use the cores better than one
    # large product.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        unit = _normalised(np.asarray(X), pool)
        order = _order(len(unit), rank)
        rows = _Rows(unit[order], pool, eps_max, recall == "exact")
        best = rows.score(rows.train(n_clusters, seed))
    similarity, neighbor = np.empty_like(best.max_similarity), np.empty_like(best.neighbor)
    labels = np.empty(len(unit), dtype=np.int32)
    similarity[order], labels[order] = best.max_similarity, rows.labels
    neighbor[order] = np.where(best.neighbor == NO_NEIGHBOR, NO_NEIGHBOR, order[best.neighbor])
    return VectorScores(similarity, neighbor, labels, eps_max)


def _check_options(
    recall: object, eps_max: float, n_clusters: int | None, seed: int, threads: int | None
) -> None:
    if recall not in ("exact", "cluster"):
        raise ValueError(f"recall must be 'exact' or 'cluster'. Got {recall!r}.")
    checked_stage(ScoreConfig, eps_max=eps_max, seed=seed)
    if n_clusters is not None:
        wanted = checked_stage(ClusterConfig, n_clusters=n_clusters).n_clusters
        if wanted == "auto":
            raise ValueError("n_clusters must be a number, or None for the cheapest. Got 'auto'.")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, or None for all cores. Got {threads!r}.")


def _normalised(X: npt.NDArray[np.float64], pool: ThreadPoolExecutor) -> FloatArray:
    if X.ndim != 2 or not len(X):
        raise ValueError(f"X must be a 2-D array (n, d) with at least one row. Got {X.shape}.")
    blocks = list(pool.map(lambda rows: unit_rows(X[rows]), _blocks(len(X))))
    reasons = [reason for block in blocks for reason in block.reasons]
    bad = [row for row, reason in enumerate(reasons) if reason is not None]
    if bad:
        raise ValueError(
            f"every row of X must be finite and not zero. {len(bad)} are not, such as row "
            f"{bad[0]}: {reasons[bad[0]]}. Leave them out first."
        )
    return np.concatenate([block.X for block in blocks])


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK_ROWS) for start in range(0, n, _BLOCK_ROWS))


def _order(n: int, rank: npt.ArrayLike | None) -> IndexArray:
    if rank is None:
        return np.arange(n)
    keys = np.asarray(rank)
    if keys.shape != (n,) or keys.dtype.kind not in "biuf":
        raise ValueError(
            f"rank must have one number for each of the {n} rows. Got {keys.dtype} of shape "
            f"{keys.shape}."
        )
    return np.argsort(keys, kind="stable")


class _Rows:
    """Unit rows in rank order, and the labels found so far.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows in rank order.
    pool
        Threads that share the work.
    eps_max
        The horizon.
    exact
        Whether every pair above the horizon must be found.
    """

    def __init__(
        self, X: FloatArray, pool: ThreadPoolExecutor, eps_max: float, exact: bool
    ) -> None:
        self._X, self._pool, self._eps_max, self._exact = X, pool, eps_max, exact
        self._hashes: HashArray = hash_rows(X)
        first = first_of_equal_rows(X, self._hashes)
        # The first of several equal rows represents all of them in other clusters.
        self._stands = first == np.arange(len(X))
        self.labels: LabelArray = np.zeros(len(X), dtype=np.int32)

    def train(self, n_clusters: int | None, seed: int) -> FloatArray:
        distinct = np.flatnonzero(self._stands)
        wanted = (
            n_clusters
            or cheapest(
                len(distinct),
                self._X.shape[1],
                sample_per_cluster=_SAMPLE_PER_CLUSTER,
                unit_rows=len(self._X),
                levels=1,
            ).n_clusters
        )
        k = min(wanted, len(distinct))
        size = min(len(distinct), k * _SAMPLE_PER_CLUSTER)
        sample = self._X[np.random.default_rng(seed).permutation(distinct)[:size]]
        training = Training(seed, _ITERATIONS, _TOLERANCE)
        clustering = train(sample, k, training, self._pool._max_workers)
        return clustering.centroids

    def score(self, centroids: FloatArray) -> EarlierSimilarity:
        visits = self._assign(centroids)
        best = EarlierSimilarity(
            np.zeros(len(self._X), dtype=np.float32),
            np.full(len(self._X), NO_NEIGHBOR, dtype=np.int64),
        )
        units = list(self._units(visits, len(centroids)))
        # The largest units start first, so that none of them still runs alone at the end.
        units.sort(key=lambda unit: -len(unit[1]))
        for rows, found in self._pool.map(lambda unit: self._compare(*unit), units):
            merge_best(best, rows, found)
        return best

    def _assign(self, centroids: FloatArray) -> Visits:
        """Assign all rows, and return the visits that exact recall needs."""
        prober = Prober(centroids, eps_max=self._eps_max)
        parts = list(self._pool.map(lambda rows: prober(self._X[rows]), _blocks(len(self._X))))
        self.labels = np.concatenate([part.assignment.labels for part in parts])
        if not self._exact:
            return Visits(np.empty(0, np.int64), np.empty(0, np.int32))
        row = np.concatenate([p.visits.row + i * _BLOCK_ROWS for i, p in enumerate(parts)])
        cluster = np.concatenate([part.visits.cluster for part in parts])
        return Visits(row[self._stands[row]], cluster[self._stands[row]])

    def _units(self, visits: Visits, k: int) -> Iterator[_Unit]:
        """Yield (cluster, its rows in rank order, their roles)."""
        row = np.concatenate([np.arange(len(self._X)), visits.row])
        cluster = np.concatenate([self.labels, visits.cluster])
        role = np.full(len(row), HOME, dtype=np.int8)
        role[len(self._X) :] = SECOND
        order = np.lexsort((row, cluster))
        bounds = np.searchsorted(cluster[order], np.arange(k + 1))
        for cluster_id, (start, end) in enumerate(pairwise(bounds.tolist())):
            if end > start:
                yield cluster_id, row[order[start:end]], role[order[start:end]]

    def _compare(
        self, cluster: int, rows: IndexArray, role: RoleArray
    ) -> tuple[IndexArray, EarlierSimilarity]:
        unit = UnitRowsInOrder(
            vectors=self._X[rows],
            hashes=self._hashes[rows],
            vector=np.arange(len(rows)),
            tile=np.full(len(rows), cluster, dtype=np.int32),
            role=role,
        )
        horizon = np.nextafter(np.float32(1 - self._eps_max), np.float32(0)) if self._exact else 0
        best = score_unit(unit, above=float(horizon)).best
        found = best.neighbor != NO_NEIGHBOR
        return rows[found], EarlierSimilarity(
            best.max_similarity[found], rows[best.neighbor[found]]
        )
