"""Cramer's V: how strongly two labellings of the same rows are associated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cramers_v(a: npt.ArrayLike, b: npt.ArrayLike, counts: npt.ArrayLike | None = None) -> float:
    """Compute Cramer's V of two labellings of the same rows.

    The value is ``sqrt(chi2 / (n * (min(r, c) - 1)))`` for the r x c contingency table. It has no
    bias correction, so independent labellings of few rows come out somewhat above 0.

    Parameters
    ----------
    a
        (n,) integers. The first labelling.
    b
        (n,) integers. The second labelling.
    counts
        (n,) numbers. How many rows each entry stands for; 1 each by default.

    Returns
    -------
    float
        0 where the labellings are independent, 1 where one determines the other. 0 where a
        labelling has a single value, which has no association.

    Raises
    ------
    ValueError
        If the labellings differ in length or are empty.

    References
    ----------
    Cramer, H. (1946). Mathematical Methods of Statistics, p. 282.
    """
    _, rows = np.unique(np.asarray(a), return_inverse=True)
    _, columns = np.unique(np.asarray(b), return_inverse=True)
    if len(rows) != len(columns) or not len(rows):
        raise ValueError(
            f"both labellings must have the same rows, at least one. Got {len(rows)} "
            f"and {len(columns)}."
        )
    r, c = int(rows.max()) + 1, int(columns.max()) + 1
    if min(r, c) == 1:
        return 0.0
    observed = np.bincount(rows * c + columns, counts, minlength=r * c).reshape(r, c)
    n = observed.sum()
    expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0, keepdims=True) / n
    chi2 = float(((observed - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / (n * (min(r, c) - 1))))
