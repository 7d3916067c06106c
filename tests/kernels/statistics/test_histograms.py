"""Histograms of cosines against counting pair by pair."""

import numpy as np

from semdedup_spark.kernels.statistics.histograms import cluster_histograms, pairwise_counts
from semdedup_spark.kernels.vectors import unit_rows

RNG = np.random.default_rng(0)
X = unit_rows(RNG.standard_normal((1500, 6))).X  # more rows than a block


def test_every_pair_is_counted_once():
    edges = np.linspace(-1, 1, 21)
    products = np.clip(X.astype(np.float64) @ X.T.astype(np.float64), -1, 1)
    expected = np.histogram(products[np.triu_indices(len(X), k=1)], edges)[0]
    counts = pairwise_counts(X, edges)
    assert counts.sum() == len(X) * (len(X) - 1) // 2
    assert np.abs(counts - expected).max() <= 2  # float32 at the borders of bins


def test_a_cluster_is_told_before_and_after():
    labels = (np.arange(60) % 3).astype(np.int32)
    similarity = RNG.uniform(0.1, 1, 60).astype(np.float32)
    kept = np.arange(60) < 30
    found = cluster_histograms(X[:60], labels, similarity, kept)
    assert [h.cluster for h in found] == [0, 1, 2]
    for h in found:
        assert (h.n_before, h.n_after) == (20, 10)
        assert h.centroid_before.sum() == 20
        assert h.centroid_after.sum() == 10
        assert h.pairs_before.sum() == 190
        assert h.pairs_after.sum() == 45
        assert (h.pairs_after <= h.pairs_before).all()
