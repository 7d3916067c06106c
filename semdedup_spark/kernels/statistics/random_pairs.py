"""How similar unrelated rows are to each other: a property of the embedding model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.vectors import FloatArray

_QUANTILE = 0.999


@dataclass(frozen=True)
class Background:
    """Distribution of the cosine over random pairs of rows.

    Attributes
    ----------
    mean
        Mean cosine.
    p999
        99.9th percentile of the cosine.
    n_pairs
        Number of pairs.
    """

    mean: float
    p999: float
    n_pairs: int


def background_of(X: FloatArray) -> Background | None:
    """Measure the cosine of all pairs of different vectors among random rows.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows, chosen at random; n is at most a few thousand.

    Returns
    -------
    Background | None
        The distribution, or ``None`` where fewer than two vectors differ.
    """
    distinct = np.unique(X, axis=0)
    i, j = np.triu_indices(len(distinct), 1)
    if not len(i):
        return None
    cosines = (distinct @ distinct.T)[i, j].astype(np.float64)
    return Background(float(cosines.mean()), float(np.quantile(cosines, _QUANTILE)), len(i))
