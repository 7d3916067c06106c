"""How uneven clusters are, measured on a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.cluster.lloyd import ArrayData
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.vectors import FloatArray, first_of_equal_rows, hash_rows

# Numbers of clusters that a survey tries.
_SURVEYED = (8, 32, 128)

_SURVEY_ITERATIONS = 5

# Limit on the slope of the extrapolated imbalance, in logarithms.
_STEEPEST = 0.5


@dataclass(frozen=True)
class SizeCurve:
    """How uneven clusters are, as a function of their number.

    Attributes
    ----------
    n_clusters
        Numbers of clusters that were tried, ascending.
    imbalance
        For each of these, ``k * sum(n_c^2) / n^2``: 1 where all clusters are equal.
    p99
        99th percentile of the cluster sizes, as a multiple of their mean.
    largest
        Size of the largest cluster, as a multiple of the mean.
    """

    n_clusters: tuple[int, ...]
    imbalance: tuple[float, ...]
    p99: float
    largest: float

    def at(self, n_clusters: float) -> float:
        """Estimate the imbalance for any number of clusters.

        Interpolates along straight lines in logarithms. One cluster has imbalance 1.

        Parameters
        ----------
        n_clusters
            Number of clusters.

        Returns
        -------
        float
            Imbalance, at least 1.
        """
        if n_clusters <= 1:
            return 1.0
        known = np.log(np.maximum(self.imbalance, 1.0))
        x, place = np.log(self.n_clusters), math.log(n_clusters)
        if place <= x[-1] or len(x) == 1:
            return float(np.exp(np.interp(place, x, known)))
        slope = (known[-1] - known[-2]) / (x[-1] - x[-2])
        return float(np.exp(known[-1] + np.clip(slope, 0, _STEEPEST) * (place - x[-1])))


# Used where nothing is known. An imbalance of 2 is usual for embeddings of text and images. The
# largest cluster of LAION-440M had 36 times the mean size (Abbas et al. 2023: 318,000 of 8,748).
USUAL = SizeCurve((1,), (2.0,), 5.0, 36.0)


def survey_sizes(X: FloatArray, seed: int = 0) -> SizeCurve:
    """Measure how uneven the clusters of a sample are.

    Half of the distinct rows are clustered into a few numbers of clusters, and the other half is
    counted in these. Counting the training rows themselves would mistake chance in training for
    structure.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    seed
        Seed of the split and of the training.

    Returns
    -------
    SizeCurve
        The measured curve, or :data:`USUAL` where the rows are too few.
    """
    distinct = X[np.unique(first_of_equal_rows(X, hash_rows(X)))]
    rows = distinct[np.random.default_rng(seed).permutation(len(distinct))]
    training, judged = np.array_split(rows, 2)
    n, sizes, imbalance = len(judged), np.ones(1), []
    surveyed = [k for k in _SURVEYED if 16 * k <= n]
    for k in surveyed:
        fitted = train(training, k, Training(seed, _SURVEY_ITERATIONS, 0.0))
        sizes = ArrayData(judged).partial_sums(fitted.centroids).counts.astype(np.float64)
        # Unbiased estimate of the share of pairs that lie in one cluster.
        pairs = (sizes * (sizes - 1)).sum() / (n * (n - 1))
        imbalance.append(float(max(len(sizes) * pairs, 1.0)))
    if not surveyed:
        return USUAL
    relative = sizes / sizes.mean()
    return SizeCurve(
        tuple(surveyed), tuple(imbalance), float(np.quantile(relative, 0.99)), float(relative.max())
    )
