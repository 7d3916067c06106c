"""Cluster-stratified pruning (Heo & Chen 2024, Semantic Deduplication for Data Efficient Learning).

Each cluster keeps the same percentage of its rows. The rows to keep are chosen by their order
within the cluster. That order is a function of the rows alone: neither the partitioning of the rows
nor the order in which they arrive matters.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.quotas import cluster_quotas, equal_shares
from semdedup_spark.kernels.vectors import GOLDEN_RATIO_64, HashArray, IndexArray

RankType = Literal["random", "cossim"]
PruneType = Literal["common", "diverse", "stratified", "systematic"]
Mask = npt.NDArray[np.bool_]

PRUNE_TYPES: tuple[PruneType, ...] = get_args(PruneType)
N_BINS = 10


def random_scores(hashes: HashArray) -> npt.NDArray[np.float64]:
    """Turn hashes of ids into random scores, for the rank type ``random``.

    Parameters
    ----------
    hashes
        (n,) uint64. Seeded hashes of the ids.

    Returns
    -------
    ndarray
        (n,) float64 in [0, 1).
    """
    scores: npt.NDArray[np.float64] = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return scores


def hash_ids(ids: npt.ArrayLike, seed: int) -> HashArray:
    """Hash integer ids with a seed, by SplitMix64 (public domain).

    Parameters
    ----------
    ids
        (n,) integers.
    seed
        Seed, at least 0. Another seed gives other hashes.

    Returns
    -------
    ndarray
        (n,) uint64.
    """
    start = np.asarray(ids).astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        h = _mixed(start + GOLDEN_RATIO_64 * np.uint64(2 * seed + 1))
        return _mixed(h + GOLDEN_RATIO_64)


def _mixed(h: HashArray) -> HashArray:
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: HashArray = h ^ (h >> np.uint64(31))
    return mixed


def choose_rows(
    score: npt.ArrayLike,
    key: HashArray,
    n_keep: int,
    prune_type: PruneType,
    *,
    n_bins: int = N_BINS,
) -> Mask:
    """Choose which rows of one cluster stay.

    Parameters
    ----------
    score
        (n,) finite. Cosine to the centroid, or :func:`random_scores`.
    key
        (n,) uint64. Seeded hashes of the ids. They break ties, and are the source of randomness in
        ``stratified``. Where hashes are equal too, the earlier row goes first, so pass rows in the
        order of their ids.
    n_keep
        Number of rows to keep, from 0 to n.
    prune_type
        ``common`` keeps the rows with the highest scores and ``diverse`` those with the lowest.
        ``systematic`` keeps every (n / n_keep)-th row in the order of the scores. ``stratified``
        keeps equally many rows from each bin of scores, at random within a bin.
    n_bins
        Number of bins for ``stratified``. They have equal width between the lowest and the highest
        score. Where a bin has too few rows, the other bins keep more, those of high scores first.

    Returns
    -------
    ndarray
        (n,) bool. True for exactly ``n_keep`` rows.

    Raises
    ------
    ValueError
        If ``n_keep`` is not from 0 to n, or ``prune_type`` is unknown.
    """
    values = np.asarray(score, dtype=np.float64)
    n = len(values)
    if not 0 <= n_keep <= n:
        raise ValueError(f"n_keep must be from 0 to {n}, the rows there are. Got {n_keep}.")
    kept = np.zeros(n, dtype=bool)
    if n_keep == 0:
        return kept
    if prune_type == "stratified":
        kept[_from_bins(values, key, n_keep, n_bins)] = True
        return kept
    order = np.lexsort((key, -values))
    if prune_type == "common":
        kept[order[:n_keep]] = True
    elif prune_type == "diverse":
        kept[order[-n_keep:]] = True
    elif prune_type == "systematic":
        kept[order[(2 * np.arange(n_keep) + 1) * n // (2 * n_keep)]] = True
    else:
        names = ", ".join(PRUNE_TYPES)
        raise ValueError(f"prune_type must be one of {names}. Got {prune_type!r}.")
    return kept


def _from_bins(
    score: npt.NDArray[np.float64], key: HashArray, n_keep: int, n_bins: int
) -> IndexArray:
    low, high = score.min(), score.max()
    width = (high - low) or 1.0
    # bin 0 holds the highest scores
    bins = np.minimum(((high - score) / width * n_bins).astype(np.int64), n_bins - 1)
    sizes = np.bincount(bins, minlength=n_bins)
    order = np.lexsort((key, bins))
    place_in_bin = np.arange(len(score)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen: IndexArray = order[place_in_bin < equal_shares(sizes, n_keep)[bins[order]]]
    return chosen


def prune_clusters(
    labels: npt.NDArray[np.int32],
    score: npt.ArrayLike,
    key: HashArray,
    ratio: float,
    prune_type: PruneType,
    *,
    exact_total: bool = False,
    n_bins: int = N_BINS,
) -> Mask:
    """Choose which rows stay in all clusters at once.

    Applies :func:`choose_rows` to each cluster, with the quotas of
    :func:`semdedup_spark.kernels.quotas.cluster_quotas`.

    Parameters
    ----------
    labels
        (n,) int32. Cluster of each row, from 0.
    score
        (n,) finite. Cosine to the centroid, or :func:`random_scores`.
    key
        (n,) uint64. Seeded hashes of the ids.
    ratio
        Percentage to keep, from 1 to 100.
    prune_type
        See :func:`choose_rows`.
    exact_total
        See :func:`semdedup_spark.kernels.quotas.cluster_quotas`.
    n_bins
        See :func:`choose_rows`.

    Returns
    -------
    ndarray
        (n,) bool. True for the rows that stay.
    """
    values = np.asarray(score, dtype=np.float64)
    kept = np.zeros(len(labels), dtype=bool)
    sizes = np.bincount(labels, minlength=1)
    quotas = cluster_quotas(sizes, ratio, exact_total=exact_total)
    by_cluster = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    for rows, n_keep in zip(by_cluster, quotas.tolist(), strict=True):
        chosen = choose_rows(values[rows], key[rows], n_keep, prune_type, n_bins=n_bins)
        kept[rows[chosen]] = True
    return kept
