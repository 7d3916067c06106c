"""Made-up rows with duplicates of known sizes."""

from __future__ import annotations

import numpy as np


def families(n_families=60, size=5, d=32, noise=0.15, seed=0):
    """(n, d) float32 unit rows in families of similar ones, and the family of each."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((n_families, d))
    X = np.repeat(centers, size, axis=0) + noise * rng.standard_normal((n_families * size, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X.astype(np.float32), np.repeat(np.arange(n_families), size)


def texts_of(family):
    """A text for each row: long sentences that differ in one word within a family."""
    words = [f"word{i}" for i in range(500)]
    return [
        " ".join([*words[7 * each % 480 : 7 * each % 480 + 12], f"number{row}"])
        for row, each in enumerate(family)
    ]
