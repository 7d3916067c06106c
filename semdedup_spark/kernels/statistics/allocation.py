"""How many rows of each stratum are drawn for people to judge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Every stratum gets this many draws first. An expectation can be wrong, and fewer would not tell.
LEAST_DRAWN = 5
# Expected shares are taken to be within this distance of 0 and 1. A stratum that is expected to be
# all right would otherwise get no more than its first draws, however many rows it has.
_LEAST_SHARE = 0.02


def allocate(sizes: npt.ArrayLike, expected: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    """Divide draws among strata, so that the stratified estimate of a share varies least.

    The draws are put into one order, and the first n are taken. A larger n therefore never takes
    a draw from a stratum. First come up to 5 rounds in which each stratum gets one draw. Every
    further draw goes to the stratum where it lowers the variance most: the one with the highest
    ``N_h * S_h / sqrt(k * (k + 1))``, where ``N_h`` is its size, ``k`` the draws that it has, and
    ``S_h = sqrt(p * (1 - p))`` for its expected share p. Within a round, the order is that of
    ``N_h * S_h``. The lower index wins ties.

    Parameters
    ----------
    sizes
        (H,) integers. Number of rows of each stratum; 0 is allowed.
    expected
        (H,) numbers from 0 to 1. Share of right rows that is expected of each stratum. Values
        below 0.02 or above 0.98 count as these.
    n
        Number of draws in all, 0 or more.

    Returns
    -------
    ndarray
        (H,) int64. Draws from each stratum, at most its size. Their sum is ``min(n, sum(sizes))``.
        Each is at least ``min(size, 5)`` where n allows that for all strata.

    Raises
    ------
    ValueError
        If the arrays differ in length, ``n`` or a size is negative, or an expected share is not
        from 0 to 1.

    Notes
    -----
    This is Neyman's allocation, exact in whole numbers and with bounds. Rounding his shares of the
    draws by their largest remainders need not give the least variance, and can take a draw from a
    stratum where n grows.

    References
    ----------
    Neyman, J. (1934). On the two different aspects of the representative method. Journal of the
    Royal Statistical Society 97(4), 558-625, section III.3.

    Wright, T. (2012). The equivalence of Neyman optimum allocation for sampling and equal
    proportions for apportioning the U.S. House of Representatives. The American Statistician
    66(4), 217-224.

    Wright, T. (2017). Exact optimal sample allocation: more efficient than Neyman. Statistics and
    Probability Letters 129, 50-57: bounds on the draws of a stratum.
    """
    counts, shares = np.asarray(sizes, dtype=np.int64), np.asarray(expected, dtype=np.float64)
    if counts.ndim != 1 or counts.shape != shares.shape:
        raise ValueError(
            "sizes and expected must have one value for each stratum. Got the shapes "
            f"{counts.shape} and {shares.shape}."
        )
    if n < 0 or (counts < 0).any():
        raise ValueError(f"n and sizes must not be negative. Got {n} and {counts.tolist()}.")
    if not ((shares >= 0) & (shares <= 1)).all():  # also false for NaN
        raise ValueError(f"expected must be shares from 0 to 1. Got {shares.tolist()}.")
    clipped = np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)
    deviations: npt.NDArray[np.float64] = np.sqrt(clipped * (1 - clipped))
    return _first_draws(np.minimum(counts, n), counts * deviations, n)


def _first_draws(
    most: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], n: int
) -> npt.NDArray[np.int64]:
    """Count the first n draws of each stratum in the order of all draws."""
    stratum = np.repeat(np.arange(len(most)), most)
    before = np.arange(len(stratum)) - np.repeat(np.cumsum(most) - most, most)
    in_rounds = before < LEAST_DRAWN
    divisor = np.where(in_rounds, 1.0, np.sqrt(before * (before + 1.0)))
    rounds = np.minimum(before, LEAST_DRAWN)
    order = np.lexsort((stratum, -weights[stratum] / divisor, rounds))
    return np.bincount(stratum[order[:n]], minlength=len(most)).astype(np.int64)
