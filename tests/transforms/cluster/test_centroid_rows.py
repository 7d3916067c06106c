"""The table of centroids, and whether scores were made with it."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.transforms.cluster.centroid_rows import (
    Centroids,
    fits_centroids,
)
from semdedup_spark.transforms.cluster.centroid_source import CentroidsInClosure
from semdedup_spark.transforms.cluster.cluster_sizes import rows_in_clusters

K, D = 5, 6


def directions(seed, n):
    return unit_rows(np.random.default_rng(seed).standard_normal((n, D))).X


@pytest.fixture
def scored(spark):
    """(embeddings, scores) of rows that were assigned to the centroids of seed 0."""
    X, found = directions(1, 40), assign(directions(1, 40), directions(0, K))
    embeddings = spark.createDataFrame(
        [(f"row-{i}", 0, [float(v) for v in x]) for i, x in enumerate(X)],
        "id string, batch int, embedding array<float>",
    )
    scores = spark.createDataFrame(
        [
            (f"row-{i}", 0, int(label), float(similarity))
            for i, (label, similarity) in enumerate(
                zip(found.labels, found.similarity, strict=True)
            )
        ],
        "id string, batch int, cluster_id int, centroid_similarity float",
    )
    return embeddings, scores


def test_scores_fit_the_centroids_that_they_were_made_with_and_no_others(scored):
    embeddings, scores = scored
    assert fits_centroids(embeddings, scores, CentroidsInClosure.of(directions(0, K)))
    assert not fits_centroids(embeddings, scores, CentroidsInClosure.of(directions(2, K)))
    assert not fits_centroids(embeddings, scores, CentroidsInClosure.of(directions(0, K)[:2]))
    none = embeddings.limit(0)
    assert fits_centroids(none, scores, CentroidsInClosure.of(directions(2, K)))


def test_the_rows_of_each_cluster_are_counted_those_without_rows_too(scored):
    _, scores = scored
    sizes = rows_in_clusters(scores.filter("cluster_id != 3"), K)
    assert len(sizes) == K
    assert sizes[3] == 0
    assert sizes.sum() == scores.filter("cluster_id != 3").count()


def test_centroids_are_told_apart_by_their_numbers_order_and_cells():
    X, counts = directions(0, K), np.ones(K, dtype=np.int64)
    cells = np.zeros(K, dtype=np.int32)
    kinds = [
        Centroids(X, counts, None),
        Centroids(X[::-1].copy(), counts, None),
        Centroids(X, counts, cells),
        Centroids(np.nextafter(X, np.float32(2)), counts, None),
    ]
    assert len({each.identity for each in kinds}) == len(kinds)
    assert Centroids(X.copy(), counts * 2, None).identity == kinds[0].identity
