import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semdedup_spark.kernels.score import sketches
from semdedup_spark.kernels.score.sketches import choose_basis, pairs_above, sketch
from semdedup_spark.kernels.vectors import unit_rows
from tests.kernels.score.test_borders import instances, make, probed_scores, true_scores
from tests.kernels.score.test_similarity import random_rows

fixture_is_the_same_for_all = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(params=[0.0, 2.0], ids=["every block is dense", "no block is dense"])
def always_sketched(monkeypatch, request):
    """Sketches also where they save nothing, in small blocks."""
    monkeypatch.setattr(sketches, "BLOCK", 5)
    monkeypatch.setattr(sketches, "PANEL", 3)
    monkeypatch.setattr(sketches, "DENSE", request.param)

    def any_basis(X, _n_pairs, _above):
        return np.linalg.qr(random_rows(len(X), X.shape[1], 2))[0] if len(X) > 1 else None

    monkeypatch.setattr("semdedup_spark.kernels.score.unit.choose_basis", any_basis)


@given(seeds, st.integers(1, 30), st.integers(1, 12), st.integers(0, 12))
def test_the_product_of_sketches_is_never_below_the_cosine(seed, n, d, m):
    X = random_rows(seed, n, d)
    basis = np.linalg.qr(random_rows(seed + 1, d, max(min(m, d), 1)))[0].astype(np.float32)
    sketches_of = sketch(X, basis)
    assert sketches_of.shape == (n, basis.shape[1] + 1)
    bound = sketches_of @ sketches_of.T
    assert (bound >= X @ X.T - 1e-5).all()
    np.testing.assert_allclose(np.linalg.norm(sketches_of, axis=1), 1, atol=1e-5)


@fixture_is_the_same_for_all
@given(seeds, st.integers(1, 25), st.integers(0, 25), st.sampled_from([0.5, 0.9, 0.999]))
def test_the_best_earlier_row_above_the_horizon_is_always_among_the_pairs(
    always_sketched, seed, n, m, above
):
    X = random_rows(seed, n + m, 4, near=0.1)
    rank = np.random.default_rng(seed).permutation(n + m)
    a, b = np.sort(rank[:n]), np.sort(rank[n:])
    basis = np.linalg.qr(random_rows(seed, 4, 2))[0].astype(np.float32)
    best = np.zeros(n + m)
    found = [*pairs_above(X[a], a, None, None, basis, above)]
    found += pairs_above(X[a], a, X[b], b, basis, above)
    for pairs in found:
        assert (pairs.i != pairs.j).all()
        assert (pairs.similarity > above).all()
        np.maximum.at(best, np.maximum(pairs.i, pairs.j), pairs.similarity)
    products = np.tril(X @ X.T, -1)
    products[np.ix_(b, b)] = 0  # not asked for
    true = products.max(axis=1)
    on_edge = np.abs(true - above) < 2e-6
    np.testing.assert_allclose(best[~on_edge], np.where(true > above, true, 0)[~on_edge], atol=2e-6)


@fixture_is_the_same_for_all
@given(instances, st.integers(2, 50))
def test_units_compared_by_sketches_give_the_brute_force_scores(
    always_sketched, instance, rows_in_unit
):
    X, centroids = make(*instance)
    M, _ = probed_scores(X, centroids, instance[-1], unit_rows=rows_in_unit)
    expected, on_edge = true_scores(X, instance[-1])
    np.testing.assert_allclose(M[~on_edge], expected[~on_edge], atol=2e-6)


def rows_near_a_plane(n, d, noise):
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((n, 20)) @ rng.standard_normal((20, d))
    return unit_rows(flat + noise * rng.standard_normal((n, d))).X


def test_a_basis_is_chosen_where_few_directions_hold_most_of_the_rows():
    X = rows_near_a_plane(4000, 256, noise=0.3)
    basis = choose_basis(X, 4000 * 2000, above=0.95)
    assert basis.shape[0] == 256
    assert basis.shape[1] <= 48
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-5)


@pytest.mark.parametrize(
    ("X", "n_pairs", "above"),
    [
        (rows_near_a_plane(4000, 256, noise=0.3), 1000, 0.95),  # too few pairs to be worth it
        (rows_near_a_plane(4000, 256, noise=0.3), 10**8, -1.0),  # all pairs are above
        (rows_near_a_plane(4000, 256, noise=50.0), 10**8, 0.2),  # no main directions
        (np.repeat(rows_near_a_plane(1, 256, 0.0), 4000, axis=0), 10**8, 0.95),  # all are alike
    ],
)
def test_plain_products_are_made_where_sketches_would_save_nothing(X, n_pairs, above):
    assert choose_basis(X, n_pairs, above) is None


def test_a_misleading_sample_costs_time_but_not_memory_or_pairs():
    X = np.repeat(rows_near_a_plane(1, 16, 0.0), 3000, axis=0)
    X = unit_rows(X + 1e-4 * np.random.default_rng(0).standard_normal(X.shape)).X
    at = np.arange(len(X))
    n_pairs = 0
    best = np.zeros(len(X))
    for pairs in pairs_above(X, at, None, None, np.eye(16, 4, dtype=np.float32), 0.9):
        n_pairs = max(n_pairs, len(pairs.i))
        np.maximum.at(best, np.maximum(pairs.i, pairs.j), pairs.similarity)
    assert n_pairs <= sketches.BLOCK + sketches.PANEL  # of 4.5 million pairs above
    np.testing.assert_allclose(best[1:], 1, atol=1e-6)
