"""How many rows each cluster, or each bin of scores, keeps when data is pruned."""

from __future__ import annotations

import heapq
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt


def kept_share(ratio: float) -> Fraction:
    """Turn a percentage into an exact fraction, so that 7 % of 100 rows are 7 rows and not 8.

    Parameters
    ----------
    ratio
        Percentage to keep, from 1 to 100.

    Returns
    -------
    Fraction
        ``ratio / 100``, in (0, 1].

    Raises
    ------
    ValueError
        If ``ratio`` is not from 1 to 100, or is a bool.
    """
    if isinstance(ratio, bool) or not 1 <= ratio <= 100:  # also false for NaN
        raise ValueError(f"ratio must be the percentage to keep, from 1 to 100. Got {ratio!r}.")
    return Fraction(str(ratio)) / 100


def least_rows(share: float, n: int) -> int:
    """Count the rows that a share of n rows asks for at least. 0.07 of 100 rows are 7, although the
    product of the binary numbers is a little more.

    Parameters
    ----------
    share
        Share of the rows, 0 to 1.
    n
        Number of rows.

    Returns
    -------
    int
        ``ceil(share * n)``, of the decimal number that ``share`` is written as.
    """
    return math.ceil(Fraction(str(share)) * n)


def cluster_quotas(
    sizes: npt.ArrayLike, ratio: float, *, exact_total: bool = False
) -> npt.NDArray[np.int64]:
    """Compute how many rows each cluster keeps.

    By default a cluster keeps ``ceil(ratio * size / 100)`` rows. No cluster is lost, and the total
    is at most k rows above ``ratio`` percent.

    With ``exact_total`` the quotas add up to ``ceil(ratio * n / 100)``. Each cluster first gets the
    whole part of its share. The remaining rows go to the largest remainders (Hamilton's method);
    the lower cluster wins ties. A cluster whose quota is zero then takes a row from the cluster
    that is furthest above its share, unless there are more clusters than rows to keep.

    Parameters
    ----------
    sizes
        (k,) integers. Number of rows of each cluster; 0 is allowed.
    ratio
        Percentage to keep, from 1 to 100.
    exact_total
        Whether the quotas add up to ``ratio`` percent of all rows.

    Returns
    -------
    ndarray
        (k,) int64. Number of rows that each cluster keeps.

    Raises
    ------
    ValueError
        If a size is negative, or ``ratio`` is not from 1 to 100.
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
    """Move single rows to the clusters that keep none, from those furthest above their share."""
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


def equal_shares(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """Divide rows among bins as equally as the bins allow.

    Parameters
    ----------
    sizes
        (b,) int64. Number of rows in each bin.
    total
        Number of rows to take, at most the sum of ``sizes``.

    Returns
    -------
    ndarray
        (b,) int64. Rows to take from each bin, adding up to ``total``. Rows left over by the
        division come from earlier bins.
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
