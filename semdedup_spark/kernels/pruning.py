"""Cluster-stratified pruning (Heo & Chen, Semantic Deduplication for Data Efficient Learning).

Each cluster keeps the same percentage of its rows. What is kept is decided by an order of the rows
within the cluster, which is a function of the rows alone: neither partitions nor the order of
arrival matter.
"""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import HashArray, IndexArray

RankType = Literal["random", "cossim"]
PruneType = Literal["common", "diverse", "stratified", "systematic"]
Mask = npt.NDArray[np.bool_]

PRUNE_TYPES: tuple[PruneType, ...] = get_args(PruneType)
N_BINS = 10


def kept_share(ratio: float) -> Fraction:
    """``ratio``, a percentage, as an exact share in (0, 1]: 7 % of 100 rows are 7, not 8.

    Raises ``ValueError`` unless ``1 <= ratio <= 100``.
    """
    if isinstance(ratio, bool) or not 1 <= ratio <= 100:  # also false for NaN
        raise ValueError(f"ratio must be the percentage to keep, from 1 to 100. Got {ratio!r}.")
    return Fraction(str(ratio)) / 100


def cluster_quotas(
    sizes: npt.ArrayLike, ratio: float, *, exact_total: bool = False
) -> npt.NDArray[np.int64]:
    """(k,) int64, rows that each cluster keeps.

    ``sizes``: (k,) rows of each cluster, 0 allowed. By default ``ceil(ratio * size / 100)``, so
    that no cluster is lost and the total is up to k rows above ``ratio`` percent.

    ``exact_total``: the quotas add up to ``ceil(ratio * n / 100)``. Each cluster first gets the
    whole part of its share, and the rows left over go to the largest remainders (Hamilton's
    method), ties to the lower cluster. A cluster left with none then takes a row from the one that
    is furthest above its share, unless there are more clusters than rows to keep.
    """
    share = kept_share(ratio)
    counts = [int(size) for size in np.asarray(sizes)]
    if any(size < 0 for size in counts):
        raise ValueError(f"sizes must not be negative. Got {min(counts)}.")
    if not exact_total:
        return np.array([-(-size * share // 1) for size in counts], dtype=np.int64)
    total = -(-sum(counts) * share // 1)
    quotas = [int(size * share // 1) for size in counts]
    remainders = [size * share - quota for size, quota in zip(counts, quotas, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda c: (-remainders[c], c))
    for cluster in by_remainder[: int(total) - sum(quotas)]:
        quotas[cluster] += 1
    if total >= sum(size > 0 for size in counts):
        _leave_none_empty(quotas, counts, share)
    return np.array(quotas, dtype=np.int64)


def _leave_none_empty(quotas: list[int], sizes: list[int], share: Fraction) -> None:
    """Move single rows to the clusters without any, from those furthest above their share."""
    above = [(size * share - q, c) for c, (size, q) in enumerate(zip(sizes, quotas, strict=True))]
    donors = [entry for entry in above if quotas[entry[1]] > 1]
    heapq.heapify(donors)
    for cluster, size in enumerate(sizes):
        if size > 0 and quotas[cluster] == 0:
            lack, donor = donors[0]
            quotas[donor] -= 1
            quotas[cluster] = 1
            if quotas[donor] > 1:
                heapq.heapreplace(donors, (lack + 1, donor))
            else:
                heapq.heappop(donors)


def random_scores(hashes: HashArray) -> npt.NDArray[np.float64]:
    """(n,) numbers in [0, 1) from seeded hashes of the ids, (n,) uint64: the rank ``random``."""
    scores: npt.NDArray[np.float64] = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return scores


def hash_ids(ids: npt.ArrayLike, seed: int) -> HashArray:
    """(n,) uint64, a seeded hash of whole numbers (SplitMix64, public domain)."""
    start = np.asarray(ids).astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        h = _mixed(start + np.uint64(0x9E3779B97F4A7C15) * np.uint64(2 * seed + 1))
        return _mixed(h + np.uint64(0x9E3779B97F4A7C15))


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
    """(n,) which rows of one cluster stay; exactly ``n_keep`` of them, 0 to n.

    ``score``: (n,) finite: cosine to the centroid, or :func:`random_scores`. ``key``: (n,) seeded
    hashes of the ids, which settle ties and are the chance in ``stratified``; where also these are
    equal the earlier row goes first, so hand rows over in the order of their ids.

    ``common`` keeps the highest scores, ``diverse`` the lowest, ``systematic`` every
    (n / n_keep)-th row in the order of the scores, ``stratified`` equally many from each of
    ``n_bins`` bins of equal width between the least and the highest score, at random within a bin;
    what a bin lacks the others give, those of high scores first.
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


def equal_shares(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """(b,) as equal as the ``sizes`` (b,) of the bins allow, adding up to ``total`` <= their sum;
    a row that does not divide goes to an earlier bin.
    """
    shares = np.zeros(len(sizes), dtype=np.int64)
    left = total
    while left:
        open_bins = np.flatnonzero(shares < sizes)
        each = left // len(open_bins)
        if each == 0:
            shares[open_bins[:left]] += 1
            break
        given = np.minimum(sizes[open_bins] - shares[open_bins], each)
        shares[open_bins] += given
        left -= int(given.sum())
    return shares


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
    """(n,) which rows stay, of all clusters at once: :func:`choose_rows` in each, with the quotas
    of :func:`cluster_quotas`. ``labels``: (n,) cluster of each row, from 0.
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
