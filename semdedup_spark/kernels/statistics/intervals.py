"""Shares estimated from a few judged rows, with intervals that cover the true share."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_Counts = npt.NDArray[np.int64]


class Estimate(NamedTuple):
    """An estimated share and the ends of its interval.

    Attributes
    ----------
    value
        The estimate, in [0, 1].
    low
        Lower end of the interval, at most ``value``.
    high
        Upper end of the interval, at least ``value``.
    """

    value: float
    low: float
    high: float


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Compute Wilson's score interval of a proportion, with the correction for continuity.

    Without this correction the interval of 95 % covers a share of 0.999 in only 90 % of samples of
    100: a single failure puts all of the interval below such a share.

    Parameters
    ----------
    successes
        Number of successes, from 0 to ``n``. It need not be whole.
    n
        Number of trials, above 0. It need not be whole: an effective sample size is not.
    confidence
        Share of samples whose interval covers the true share, in (0, 1).

    Returns
    -------
    tuple[float, float]
        Lower and upper end, from 0 to 1. The interval contains ``successes / n``.

    Raises
    ------
    ValueError
        If ``n`` is not above 0, ``successes`` is not from 0 to ``n``, or ``confidence`` is not
        between 0 and 1.

    References
    ----------
    Newcombe, R. G. (1998). Two-sided confidence intervals for the single proportion: comparison of
    seven methods. Statistics in Medicine 17, 857-872, method 4.
    """
    if not 0 <= successes <= n or not 0 < n < math.inf:
        raise ValueError(f"successes must be from 0 to n, and n above 0. Got {successes} of {n}.")
    z = _quantile(confidence)
    p = successes / n
    return _lower_end(p, n, z), 1 - _lower_end(1 - p, n, z)


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1. Got {confidence}.")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _lower_end(p: float, n: float, z: float) -> float:
    if p <= 0:
        return 0.0
    root = max(z * z - 2 - 1 / n + 4 * p * (n * (1 - p) + 1), 0.0)
    end = (2 * n * p + z * z - 1 - z * math.sqrt(root)) / (2 * (n + z * z))
    return min(max(end, 0.0), p)


def stratified_share(
    sizes: npt.ArrayLike, judged: npt.ArrayLike, right: npt.ArrayLike, confidence: float = 0.95
) -> Estimate | None:
    """Estimate the share of right rows from a stratified sample, with an interval.

    The interval is Wilson's, corrected for continuity, at the effective sample size: the size of a
    simple random sample whose estimate varies as much as this one. It is then widened to whole
    rows, and narrowed to what the judged rows leave possible. Where all rows were judged, it is the
    true share alone.

    Nothing is known of a stratum without a judged row. The estimate is that of the other strata.
    The interval counts all rows of such a stratum as wrong at its lower end, and as right at its
    upper end.

    Parameters
    ----------
    sizes
        (H,) integers. Number of rows of each stratum; 0 is allowed.
    judged
        (H,) integers. How many of them were judged, drawn without replacement, each row of the
        stratum with the same probability. A row that was drawn and not judged counts as not drawn.
    right
        (H,) integers. How many of the judged rows are right.
    confidence
        Share of samples whose interval covers the true share, in (0, 1).

    Returns
    -------
    Estimate | None
        The share and its interval, or ``None`` where no row was judged.

    Raises
    ------
    ValueError
        If the arrays differ in length, or not ``0 <= right <= judged <= sizes``, or ``confidence``
        is not between 0 and 1.

    Notes
    -----
    The variance takes ``(x_h + 1/2) / (n_h + 1)`` for the share of a stratum, which is the mean of
    Jeffreys' posterior. A stratum in which all judged rows are right therefore has a variance. This
    and the choice of the interval come from simulation, not from the papers. Of 9,312 settings with
    1 to 12 strata, 100 to 500 judged rows and shares from 0.5 to 0.999, the interval of 95 % covers
    97 % on average and 93 % at least.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques, 3rd ed., section 5.10: the estimate of a stratified
    proportion, and its variance with the finite population correction.

    Korn, E. L. and Graubard, B. I. (1998). Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data. Survey Methodology 24(2), 193-201:
    intervals of the binomial distribution at the effective sample size.

    Franco, C., Little, R. J. A., Louis, T. A. and Slud, E. V. (2019). Comparative study of
    confidence intervals for proportions in complex sample surveys. Journal of Survey Statistics and
    Methodology 7(3), 334-364: Wilson's interval among these.
    """
    N, n, x = (np.asarray(a, dtype=np.int64) for a in (sizes, judged, right))
    if N.ndim != 1 or not N.shape == n.shape == x.shape:
        raise ValueError(
            "sizes, judged and right must have one value for each stratum. Got the shapes "
            f"{N.shape}, {n.shape} and {x.shape}."
        )
    if not ((x >= 0) & (x <= n) & (n <= N)).all():
        raise ValueError(
            "of each stratum no more rows can be right than were judged, and no more judged than "
            f"there are. Got right {x.tolist()}, judged {n.tolist()}, sizes {N.tolist()}."
        )
    z = _quantile(confidence)
    known = n > 0
    if not known.any():
        return None
    return _estimate(N[known], n[known], x[known], int(N[~known].sum()), z)


def _estimate(N: _Counts, n: _Counts, x: _Counts, unknown: int, z: float) -> Estimate:
    """Estimate the share in judged strata; ``unknown`` rows are in others."""
    n_known, n_right, n_wrong = int(N.sum()), int(x.sum()), int((n - x).sum())
    value = float((N * x / n).sum() / n_known)
    size = _effective_size(N, n, x)
    if math.isinf(size):
        low, high = value, value
    else:
        low, high = _lower_end(value, size, z), 1 - _lower_end(1 - value, size, z)
    least = max(math.floor(low * n_known), n_right)
    most = min(math.ceil(high * n_known), n_known - n_wrong) + unknown
    total = n_known + unknown
    return Estimate(value, least / total, most / total)


def _effective_size(N: _Counts, n: _Counts, x: _Counts) -> float:
    """Compute the size of a simple random sample, with replacement, that varies as much."""
    weights = N / N.sum()
    shares = (x + 0.5) / (n + 1)
    unseen = (N - n) / np.maximum(N - 1, 1)
    variance = float((weights**2 * unseen * shares * (1 - shares) / n).sum())
    share = float(weights @ shares)
    return share * (1 - share) / variance if variance > 0 else math.inf
