from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.lloyd import ArrayData, assign, spherical_lloyd
from semdedup_spark.kernels.cluster.partial_sums import on_grid
from semdedup_spark.kernels.cluster.train import Training, apportion, first_centroids, train
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


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
def test_sums_have_the_same_bits_however_rows_are_split_ordered_or_threaded(seed, n, d, k):
    rng = np.random.default_rng(seed)
    X, C = unit_rows(rng.standard_normal((n, d))).X, unit_rows(rng.standard_normal((k, d))).X
    whole = ArrayData(X).partial_sums(C)
    order = rng.permutation(n)
    cuts = np.sort(rng.integers(0, n + 1, 3))
    parts = [ArrayData(rows).partial_sums(C) for rows in np.split(X[order], cuts) if len(rows)]
    merged = sum(parts[1:], start=parts[0])
    threaded = ArrayData(X, threads=3).partial_sums(C)
    for other in (merged, threaded):
        assert other.sums.tobytes() == whole.sums.tobytes()
        assert other.counts.tolist() == whole.counts.tolist()
    np.testing.assert_allclose(whole.sums.sum(axis=0), X.sum(axis=0, dtype=float), atol=1e-7)
    expected = assign(X, C).similarity.mean(dtype=float)
    np.testing.assert_allclose(whole.objective(C), expected, atol=1e-6)


def test_the_grid_moves_an_entry_by_half_a_step_at_most():
    X = unit_rows(np.random.default_rng(0).standard_normal((50, 300))).X
    assert np.abs(on_grid(X).astype(float) - X).max() <= 2.0**-31
    assert (on_grid(X).astype(float) * 2**30 % 1 == 0).all()


def blobs(n=3000, centers=60, d=16, seed=0, noise=0.15):
    rng = np.random.default_rng(seed)
    C = rng.standard_normal((centers, d)) / np.sqrt(d)
    return unit_rows(C[rng.integers(0, centers, n)] + noise * rng.standard_normal((n, d))).X


@pytest.mark.parametrize("seeding", ["rows", "plusplus"])
def test_training_finds_the_same_centroids_with_any_number_of_threads(seeding):
    X, training = blobs(), Training(seed=3, max_iterations=8, tolerance=0.0, seeding=seeding)
    one, four = train(X, 40, training), train(X, 40, training, threads=4)
    assert one.centroids.tobytes() == four.centroids.tobytes()
    assert one.objective == four.objective


def test_plus_plus_starts_from_rows_that_lie_apart():
    X = blobs(noise=0.01)
    start = first_centroids(X, 60, Training(0, 0, 0.0, "plusplus"))
    assert {tuple(row) for row in start} <= {tuple(row) for row in X}
    reached = assign(X, unit_rows(start).X).similarity
    by_rows = assign(X, X[:60]).similarity
    assert reached.min() > 0.9 > by_rows.min()  # a row of every blob, which rows at random miss


@pytest.mark.parametrize("seeding", ["rows", "plusplus"])
@pytest.mark.parametrize(
    ("X", "k"),
    [
        (np.repeat(np.eye(3, dtype=np.float32)[:1], 50, axis=0), 4),  # all rows identical
        (np.eye(6, dtype=np.float32), 6),  # k = n
        (np.eye(6, dtype=np.float32), 1),
        (np.array([[1.0], [-1.0], [1.0]], dtype=np.float32), 2),  # d = 1
        (unit_rows(np.random.default_rng(0).standard_normal((20, 4096))).X, 5),
        (np.vstack([np.repeat(np.eye(9, dtype=np.float32)[:1], 500, 0), np.eye(9)[1:]]), 9),
    ],
    ids=["identical", "k=n", "k=1", "d=1", "d=4096", "one giant"],
)
def test_degenerate_rows_give_full_clusters(X, k, seeding):
    X = X.astype(np.float32)
    fitted = train(X, k, Training(seed=1, max_iterations=20, tolerance=0.0, seeding=seeding))
    assert (fitted.counts > 0).all()
    assert fitted.counts.sum() == len(X)
    assert np.isfinite(fitted.centroids).all()
    np.testing.assert_allclose(np.linalg.norm(fitted.centroids, axis=1), 1, atol=1e-6)
    if seeding == "plusplus":  # as many as there are distinct rows
        assert len(fitted.centroids) == min(k, len(np.unique(X, axis=0)))


@given(st.integers(1, 400), st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_clusters_are_shared_out_by_rows_at_least_one_a_cell(spare, rows):
    k = len(rows) + spare
    shares = apportion(k, rows)
    assert shares.sum() == k
    assert shares.min() >= 1
    wanted = spare * np.array(rows) / max(sum(rows), 1)
    if sum(rows):
        assert np.abs(shares - 1 - wanted).max() < 1 + 1e-9
