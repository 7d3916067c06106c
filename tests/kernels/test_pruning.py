import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semdedup_spark.kernels import pruning
from semdedup_spark.kernels.kmeans import assign
from semdedup_spark.kernels.probing import Prober
from semdedup_spark.kernels.pruning import BorderPruning
from semdedup_spark.kernels.vectors import unit_rows
from tests.kernels.test_probing import instances, make, probed_scores, true_scores

fixture_is_the_same_for_all = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def looks_always(monkeypatch):
    monkeypatch.setattr(pruning, "_WORTH_LOOKING", 0)
    monkeypatch.setattr(pruning, "_TOGETHER", 2)


def visits_to(cluster, X, centroids, eps_max):
    borders = Prober(centroids, eps_max=eps_max)(X)
    visitors = borders.visits.row[borders.visits.cluster == cluster]
    members = np.flatnonzero(borders.assignment.labels == cluster)
    return members, visitors, borders.assignment.labels


@fixture_is_the_same_for_all
@given(instances)
def test_every_pair_above_the_horizon_meets_once(looks_always, instance):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    for cluster in range(len(centroids)):
        members, visitors, labels = visits_to(cluster, X, centroids, eps_max)
        if not len(members) or not len(visitors):
            continue
        meets = np.zeros((len(visitors), len(members)), dtype=int)
        for meeting in BorderPruning(centroids, eps_max).meetings(
            X[members], cluster, X[visitors], labels[visitors]
        ):
            meets[np.ix_(meeting.visitors, meeting.members)] += 1
        assert meets.max() <= 1
        assert meets[X[visitors] @ X[members].T > 1 - eps_max].all()


@fixture_is_the_same_for_all
@given(instances, st.integers(2, 50))
def test_pruned_units_give_the_brute_force_scores(looks_always, instance, rows_in_unit):
    X, centroids = make(*instance)
    eps_max = instance[-1]
    M, _ = probed_scores(
        X, centroids, eps_max, unit_rows=rows_in_unit, pruning=BorderPruning(centroids, eps_max)
    )
    expected, on_edge = true_scores(X, eps_max)
    np.testing.assert_allclose(M[~on_edge], expected[~on_edge], atol=2e-6)


def test_members_far_from_the_border_are_left_out(looks_always):
    angles = np.array([0.01, 0.05, 0.3, 0.6])  # members of the cluster at angle 0.5
    visitor = np.array([-0.02])  # of the cluster at angle -0.5; the border is at 0
    members, visitors = on_circle(angles), on_circle(visitor)
    centroids = on_circle(np.array([0.5, -0.5]))
    assert assign(members, centroids).labels.tolist() == [0, 0, 0, 0]
    [meeting] = BorderPruning(centroids, eps_max=0.01).meetings(
        members, 0, visitors, np.array([1], dtype=np.int32)
    )
    # sqrt(2 * 0.01) = 0.14 is as far apart as a pair may be, 0.02 of it is used up
    assert meeting.members.tolist() == [0, 1]


def test_small_groups_meet_everyone_because_looking_costs_more():
    X = unit_rows(np.random.default_rng(0).standard_normal((50, 8))).X
    centroids = X[:5].copy()
    members, visitors, labels = visits_to(0, X, centroids, 0.9)
    meetings = list(
        BorderPruning(centroids, 0.9).meetings(X[members], 0, X[visitors], labels[visitors])
    )
    assert [len(meeting.members) for meeting in meetings] == [len(members)]
    assert meetings[0].visitors.tolist() == list(range(len(visitors)))


def on_circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
