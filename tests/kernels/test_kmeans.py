from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.kmeans import ArrayData, assign, spherical_lloyd
from semdedup_spark.kernels.vectors import unit_rows


def plain_spherical_lloyd(X, C, iterations):
    """Textbook spherical k-means in float64, without re-seeding."""
    X, C = X.astype(np.float64), C.astype(np.float64)
    for _ in range(iterations):
        labels = (X @ C.T).argmax(axis=1)
        C = np.array([X[labels == j].sum(axis=0) for j in range(len(C))])
        C /= np.linalg.norm(C, axis=1, keepdims=True)
    return C, (X @ C.T).max(axis=1).mean()


def test_four_points_by_hand():
    X = unit_rows([[1, 0.1], [1, -0.1], [0.1, 1], [-0.1, 1]]).X
    fitted = spherical_lloyd(ArrayData(X), X[[0, 2]], max_iterations=5, tolerance=0.0)
    np.testing.assert_allclose(fitted.centroids, [[1, 0], [0, 1]], atol=1e-6)
    assert fitted.counts.tolist() == [2, 2]
    np.testing.assert_allclose(fitted.objective[-1], 1 / np.sqrt(1.01), rtol=1e-6)


def test_a_tie_goes_to_the_lower_cluster():
    X = unit_rows([[1.0, 1.0]]).X
    assert assign(X, np.eye(2, dtype=np.float32)).labels.tolist() == [0]
    assert assign(X, np.eye(2, dtype=np.float32)[::-1].copy()).labels.tolist() == [0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 6), st.integers(1, 8))
def test_a_row_is_assigned_alike_in_any_batch(seed, n, d, k):
    rng = np.random.default_rng(seed)
    X = unit_rows(rng.integers(-2, 3, (n, d)) + 1e-3).X  # small integers: many near-ties
    C = unit_rows(rng.integers(-2, 3, (k, d)) + 1e-3).X
    together = assign(X, C)
    for row in range(n):
        alone = assign(X[row : row + 1], C)
        assert alone.labels[0] == together.labels[row]
        assert alone.similarity[0] == together.similarity[row]
    exact = X.astype(np.float64) @ C.astype(np.float64).T
    np.testing.assert_allclose(together.similarity, exact.max(axis=1), atol=1e-6)


def test_the_objective_equals_plain_spherical_k_means_from_the_same_start():
    rng = np.random.default_rng(0)
    X = unit_rows(
        rng.standard_normal((20, 8))[rng.integers(0, 20, 2000)]
        + 0.3 * rng.standard_normal((2000, 8))
    ).X
    fitted = spherical_lloyd(ArrayData(X), X[:10], max_iterations=7, tolerance=-1.0)
    C, objective = plain_spherical_lloyd(X, X[:10], 7)
    np.testing.assert_allclose(fitted.objective[-1], objective, rtol=1e-4)
    np.testing.assert_allclose(fitted.centroids, C, atol=1e-5)


def test_the_objective_never_falls():
    rng = np.random.default_rng(1)
    X = unit_rows(rng.standard_normal((500, 4))).X
    history = spherical_lloyd(ArrayData(X), X[:20], max_iterations=15, tolerance=0.0).objective
    assert all(b >= a - 1e-7 for a, b in pairwise(history))


def test_an_empty_cluster_is_reseeded():
    X = unit_rows(np.random.default_rng(2).standard_normal((200, 3))).X
    start = np.vstack([X[:1], X[:1], X[:1]])  # two of three start empty
    fitted = spherical_lloyd(ArrayData(X), start, max_iterations=20, tolerance=0.0)
    assert len(fitted.centroids) == 3
    assert fitted.counts.min() > 20


@pytest.mark.parametrize("k", [1, 2, 5])
def test_fewer_distinct_rows_than_clusters_leave_no_empty_cluster(k):
    X = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    fitted = spherical_lloyd(
        ArrayData(X), np.repeat(X[:1], k, axis=0), max_iterations=9, tolerance=0.0
    )
    assert (fitted.counts > 0).all()
    assert fitted.counts.sum() == 20
    assert len(fitted.centroids) <= max(k, 2)
