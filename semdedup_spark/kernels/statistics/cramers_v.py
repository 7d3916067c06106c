"""How strongly two labellings of the same rows go together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cramers_v(a: npt.ArrayLike, b: npt.ArrayLike, counts: npt.ArrayLike | None = None) -> float:
    """Cramer's V of two labellings, each (n,) of whole numbers: 0 where independent, 1 where one
    decides the other. ``counts``: (n,) how many rows each entry stands for, 1 by default.

    ``sqrt(chi2 / (n * (min(r, c) - 1)))`` for the r x c contingency table (Cramer 1946, p. 282),
    without correction: independent labellings of few rows come out somewhat above 0. A labelling
    with a single value has no association: 0.
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
