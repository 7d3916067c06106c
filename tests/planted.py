"""Rows with known near and exact copies; needs no Spark."""

from __future__ import annotations

import numpy as np


def near_duplicates(n=400, d=12, seed=0):
    """(n, d) rows, of which a third are near copies and some exact ones."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    copies = np.arange(n) >= 2 * n // 3
    X[copies] = X[rng.integers(0, n // 3, copies.sum())] + 0.1 * rng.standard_normal(
        (copies.sum(), d)
    )
    X[5], X[7] = X[3], X[3]
    return X
