"""How similar rows are that have nothing to do with each other: a property of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.vectors import FloatArray

_QUANTILE = 0.999


@dataclass(frozen=True)
class Background:
    """``mean`` and 99.9th percentile, ``p999``, of the cosine over ``n_pairs`` pairs."""

    mean: float
    p999: float
    n_pairs: int


def background_of(X: FloatArray) -> Background | None:
    """Of all pairs of different vectors among the random rows ``X`` (n, d), unit rows, n at most
    some thousand; ``None`` where there is no such pair.
    """
    distinct = np.unique(X, axis=0)
    i, j = np.triu_indices(len(distinct), 1)
    if not len(i):
        return None
    cosines = (distinct @ distinct.T)[i, j].astype(np.float64)
    return Background(float(cosines.mean()), float(np.quantile(cosines, _QUANTILE)), len(i))
