from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.score import borders
from semdedup_spark.kernels.score.borders import Prober, margin
from semdedup_spark.kernels.score.missed_visits import may_have_missed, notices_of
from semdedup_spark.kernels.score.routes import Visits
from semdedup_spark.kernels.vectors import unit_rows
from tests.kernels.score.test_similarity import random_rows
from tests.kernels.score.test_unit import score_through_units
from tests.oracle import brute_force

instances = st.tuples(
    st.integers(0, 2**32 - 1),  # seed
    st.integers(2, 40),  # rows
    st.integers(1, 5),  # dimension
    st.integers(1, 8),  # clusters
    st.sampled_from([0.001, 0.01, 0.1, 0.3, 0.9]),  # eps_max
)


def make(seed, n, d, k, _eps_max=0.0):
    """Rows in rank order, some near, some equal, and centroids that nobody trained."""
    X = random_rows(seed, n, d, near=0.1)
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.2
    X[same] = X[rng.integers(0, n, same.sum())]
    centroids = random_rows(seed + 1, k, d)
    if seed % 3 == 0:  # equal centroids
        centroids[rng.integers(0, k)] = centroids[0]
    return X, centroids


def true_scores(X, eps_max):
    """M over all pairs where it is above the horizon, else 0; and where rounding could decide."""
    M, _ = brute_force(X)
    return np.where(M > 1 - eps_max, M, 0.0), np.abs(M - (1 - eps_max)) < 1e-5


def probed_scores(X, centroids, eps_max, budget=None, unit_rows=10):
    borders = Prober(centroids, eps_max=eps_max, budget=budget)(X)
    labels = borders.assignment.labels
    above = 1 - eps_max
    M, _ = score_through_units(X, labels, unit_rows, probes=borders.visits, above=above)
    return M, borders


@given(instances, st.integers(2, 50))
def test_with_all_probes_no_pair_above_the_horizon_is_missed(instance, rows_in_unit):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    M, borders = probed_scores(X, centroids, eps_max, unit_rows=rows_in_unit)
    expected, on_edge = true_scores(X, eps_max)
    np.testing.assert_allclose(M[~on_edge], expected[~on_edge], atol=2e-6)
    assert len(borders.cut.row) == 0


@given(instances, st.integers(2, 50), st.floats(0, 1))
def test_rows_that_visit_twice_as_far_alone_meet_all_their_partners(instance, rows_in_unit, share):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    wanted = np.random.default_rng(instance[0]).random(len(X)) < share
    borders = Prober(centroids, eps_max=eps_max, alone=True)(X)
    going = wanted[borders.visits.row]
    visits = Visits(borders.visits.row[going], borders.visits.cluster[going])
    M, _ = score_through_units(
        X, borders.assignment.labels, rows_in_unit, probes=visits, above=1 - eps_max, wanted=wanted
    )
    expected, on_edge = true_scores(X, eps_max)
    sure = wanted & ~on_edge
    np.testing.assert_allclose(M[sure], expected[sure], atol=2e-6)


@given(instances, st.integers(0, 3))
def test_with_a_budget_what_is_called_exhaustive_is_exact(instance, budget):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    M, borders = probed_scores(X, centroids, eps_max, budget)
    expected, on_edge = true_scores(X, eps_max)
    assert (M <= expected + 2e-6).all()
    exhaustive = certified(X, centroids, borders, eps_max)
    sure = exhaustive & ~on_edge
    np.testing.assert_allclose(M[sure], expected[sure], atol=2e-6)
    # hence recall is at least the certified share of what may be a duplicate
    found, true = (M > 0).sum(), ((expected > 0) & ~on_edge).sum()
    certified_recall = found / max(((M > 0) | ~exhaustive).sum(), 1)
    assert found >= certified_recall * true - 1e-9


def certified(X, centroids, borders, eps_max):
    notices, labels = notices_of(borders), borders.assignment.labels
    exhaustive = ~borders.is_cut()
    for cluster in np.unique(labels):
        rows = np.flatnonzero(labels == cluster)
        here = notices.to(cluster)
        exhaustive[rows] &= ~may_have_missed(X[rows], cluster, here, centroids, eps_max)
    return exhaustive


@given(instances)
def test_more_budget_finds_no_less_and_enough_budget_finds_all(instance):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    found = [probed_scores(X, centroids, eps_max, t)[0] for t in (0, 1, 2, len(centroids))]
    for less, more in pairwise(found):
        assert (less <= more + 2e-6).all()
    everything, borders = probed_scores(X, centroids, eps_max, len(centroids))
    np.testing.assert_allclose(everything, probed_scores(X, centroids, eps_max)[0], atol=2e-6)
    assert certified(X, centroids, borders, eps_max).all()


@given(instances)
def test_the_assignment_is_that_of_k_means(instance):
    X, centroids = make(*instance)
    ours = Prober(centroids, eps_max=0.1)(X).assignment
    theirs = assign(X, centroids)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_array_equal(ours.similarity, theirs.similarity)


@pytest.mark.parametrize(("blocks", "table"), [(3, 4096), (10**6, 0), (7, 0)])
def test_blocks_and_tables_of_any_size_reach_the_same_borders(monkeypatch, blocks, table):
    X, centroids = make(1, 60, 4, 8)
    whole = Prober(centroids, eps_max=0.1)(X).visits
    monkeypatch.setattr(borders, "BLOCK_ENTRIES", blocks)
    monkeypatch.setattr(borders, "LARGEST_FLAT", table)
    parts = Prober(centroids, eps_max=0.1)(X).visits
    np.testing.assert_array_equal(parts.row, whole.row)
    np.testing.assert_array_equal(parts.cluster, whole.cluster)


def test_who_visits_by_hand():
    # Two centroids at 0 and 90 degrees; their border lies at 45 degrees.
    centroids = np.eye(2, dtype=np.float32)
    eps_max = 1 - np.cos(np.deg2rad(10))  # duplicates are at most 10 degrees apart ...
    angles = np.deg2rad([39, 41, 44, 46, 49, 51])
    X = unit_rows(np.stack([np.cos(angles), np.sin(angles)], axis=1)).X
    visits = Prober(centroids, eps_max=eps_max)(X).visits
    # ... so that one of two lies within 5 degrees of the border between them
    assert visits.row.tolist() == [1, 2, 3, 4]
    assert visits.cluster.tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(margin(eps_max), np.sin(np.deg2rad(5)))


def test_a_budget_keeps_the_nearest_borders_and_gives_notice_of_the_rest():
    centroids = np.eye(3, dtype=np.float32)
    X = unit_rows([[1.0, 0.9, 0.8], [1.0, 0.8, 0.7]]).X
    borders = Prober(centroids, eps_max=0.3, budget=1)(X)
    assert borders.visits.cluster.tolist() == [1, 1]
    assert borders.cut.cluster.tolist() == [2, 2]
    assert borders.is_cut().tolist() == [True, True]
    notices = notices_of(borders)
    assert (notices.home.tolist(), notices.cluster.tolist()) == ([0], [2])
    np.testing.assert_allclose(notices.distance, (X[0, 0] - X[0, 2]) / np.sqrt(2), atol=1e-5)
