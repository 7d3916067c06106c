"""How many of the removals at a smaller threshold are right, from verdicts at a larger one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.statistics.intervals import Estimate, stratified_share

# With 9 judged rows an interval of 95 % is 37 points wide or more.
LEAST_JUDGED = 10


def shares_below(
    counts: npt.ArrayLike,
    eps: npt.ArrayLike,
    strata: npt.ArrayLike,
    similarity: npt.ArrayLike,
    right: npt.ArrayLike,
    confidence: float = 0.95,
) -> list[Estimate | None]:
    """Estimate the share of right removals at each of several thresholds.

    At a threshold, a removal remains if its similarity is greater than ``1 - eps``. Within a
    stratum, the judged removals that remain are a simple random sample of all that remain, because
    a draw does not depend on the similarity. Each threshold therefore has the estimate of a
    stratified sample, where the strata have the sizes that they have at this threshold.

    Parameters
    ----------
    counts
        (E, H) integers. How many removals of each stratum remain at each threshold, all of them,
        judged or not.
    eps
        (E,) numbers. The thresholds, in any order, none larger than that of the selection.
    strata
        (J,) integers from 0 to H - 1. Stratum of each judged removal.
    similarity
        (J,) float32 or float64. Similarity of each judged removal, by which ``counts`` were counted
        too. It is compared in float64.
    right
        (J,) bool. Whether each judged removal is right.
    confidence
        Share of samples whose interval covers the true share, in (0, 1).

    Returns
    -------
    list[Estimate | None]
        (E,). The share and its interval at each threshold, or ``None`` where fewer than 10 judged
        removals remain.

    Raises
    ------
    ValueError
        If arrays do not fit together, a stratum is not from 0 to H - 1, or more judged removals of
        a stratum remain at a threshold than ``counts`` has, or ``confidence`` is not between 0
        and 1.

    Notes
    -----
    The estimates of several thresholds share their verdicts. Each interval covers its own share
    with the stated confidence, not all shares at once.

    References
    ----------
    Cochran, W. G. (1977). Sampling Techniques, 3rd ed., section 2.12: a part of a population, by
    the sample that falls into it; section 5A.9: strata that are weighted after the draw.
    """
    sizes, limits = np.asarray(counts, dtype=np.int64), 1 - np.asarray(eps, dtype=np.float64)
    labels, values = np.asarray(strata, dtype=np.int64), np.asarray(similarity, dtype=np.float64)
    is_right = np.asarray(right, dtype=np.bool_)
    if sizes.ndim != 2 or limits.shape != sizes.shape[:1]:
        raise ValueError(
            "counts must have a row for each eps and a column for each stratum. Got the shapes "
            f"{sizes.shape} and {limits.shape}."
        )
    if labels.ndim != 1 or not labels.shape == values.shape == is_right.shape:
        raise ValueError(
            "strata, similarity and right must have one value for each judged removal. Got the "
            f"shapes {labels.shape}, {values.shape} and {is_right.shape}."
        )
    n_strata = sizes.shape[1]
    if ((labels < 0) | (labels >= n_strata)).any():
        raise ValueError(f"strata must be from 0 to {n_strata - 1}. Got {np.unique(labels)}.")
    found: list[Estimate | None] = []
    for row, limit in zip(sizes, limits, strict=True):
        remains = values > limit
        judged = np.bincount(labels[remains], minlength=n_strata)
        n_right = np.bincount(labels[remains & is_right], minlength=n_strata)
        enough = judged.sum() >= LEAST_JUDGED
        found.append(stratified_share(row, judged, n_right, confidence) if enough else None)
    return found
