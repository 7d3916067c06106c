import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.score.routes import HOME, route
from semdedup_spark.kernels.score.unit import score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.score.unit_plan import plan_units
from semdedup_spark.kernels.vectors import first_of_equal_rows, hash_rows, unit_rows
from tests.kernels.score.test_similarity import random_rows
from tests.oracle import (
    away_from_edge,
    brute_force,
    kept_by_components,
    kept_by_m,
    kept_greedily,
)


def score_through_units(
    X, labels, unit_rows, block=4, *, probes=None, above=0.0, wanted=None, others_only=False
):
    """Plan, route and score as the job does, on arrays; rows are in rank order."""
    k = int(max(labels.max(), -1 if probes is None else probes.cluster.max(initial=-1))) + 1
    visitors = None if probes is None else np.bincount(probes.cluster, minlength=k)
    sizes = np.bincount(labels, minlength=k)
    plan = plan_units(sizes, unit_rows=unit_rows, probes=visitors)
    hashes = hash_rows(X)
    travels = first_of_equal_rows(X, hashes) == np.arange(len(X))
    if others_only:
        travels |= wanted
    routes = route(labels.astype(np.int32), hashes, plan, travels=travels, probes=probes)
    M, neighbor = np.zeros(len(X)), np.full(len(X), -1)
    for unit in np.unique(routes.unit):
        here = np.flatnonzero(routes.unit == unit)
        here = here[np.argsort(routes.row[here])]
        rows = routes.row[here]
        unit_rows_in_order = UnitRowsInOrder(
            vectors=X[rows],
            hashes=hashes[rows],
            vector=np.arange(len(rows)),
            tile=routes.tile[here],
            role=routes.role[here],
            is_target=None if wanted is None else wanted[rows],
            others_only=others_only,
        )
        best = score_unit(unit_rows_in_order, above=above, block=block).best
        for i, row in enumerate(rows):
            found = (
                best.max_similarity[i],
                -rows[best.neighbor[i]] if best.neighbor[i] >= 0 else -len(X),
            )
            if found > (M[row], -neighbor[row] if neighbor[row] >= 0 else -len(X)):
                M[row] = found[0]
                neighbor[row] = rows[best.neighbor[i]] if best.neighbor[i] >= 0 else -1
    return M, neighbor


instances = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5), st.integers(1, 6)
)


def make(seed, n, d, k):
    rng = np.random.default_rng(seed)
    X = random_rows(seed, n, d)
    same = rng.random(n) < 0.3  # exact duplicates
    X[same] = X[rng.integers(0, n, same.sum())]
    labels = rng.integers(0, k, n)
    labels = labels[[next(i for i in range(j + 1) if (X[i] == X[j]).all()) for j in range(n)]]
    return X, labels


@given(instances, st.integers(2, 50), st.integers(1, 9))
def test_units_of_any_size_give_the_brute_force_scores(instance, unit_rows, block):
    X, labels = make(*instance)
    M, neighbor = score_through_units(X, labels, unit_rows, block)
    expected, _ = brute_force(X, labels)
    np.testing.assert_allclose(M, expected, atol=2e-6)
    for j, i in enumerate(neighbor):
        if i >= 0:
            assert i < j
            assert labels[i] == labels[j]
            np.testing.assert_allclose(X[i] @ X[j], expected[j], atol=2e-6)


@given(instances, st.integers(2, 50))
def test_exact_duplicates_score_one_with_the_first_of_their_group(instance, unit_rows):
    X, labels = make(*instance)
    M, neighbor = score_through_units(X, labels, unit_rows)
    for j in range(len(X)):
        first = next(i for i in range(j + 1) if (X[i] == X[j]).all())
        if first < j:
            assert M[j] == 1.0
            assert neighbor[j] == first


def test_an_equal_row_beats_an_earlier_one_that_is_only_equal_to_rounding():
    x = unit_rows(np.array([[3.0, 4.0, 5.0]], np.float32)).X
    near = np.nextafter(x, np.float32(0))
    M, neighbor = score_through_units(np.concatenate([near, x, x]), np.zeros(3, int), 10)
    assert 1 - 1e-6 < M[1] < 1
    assert (M[2], neighbor.tolist()) == (1.0, [-1, 0, 1])
    # as in another unit, where the equal row is not
    across, _ = score_through_units(np.concatenate([near, x]), np.zeros(2, int), 10)
    assert across[1] < M[2]


@given(instances, st.sampled_from([0.01, 0.05, 0.2, 0.5]), st.sampled_from([0.02, 0.1]))
def test_kept_sets_are_nested_and_lie_between_components_and_greedy(instance, eps, less):
    X, labels = make(*instance)
    M, _ = score_through_units(X, labels, 10)
    kept = kept_by_m(M, eps)
    assert kept <= kept_by_m(M, eps * less)
    wide = X.astype(np.float64)
    if away_from_edge(np.triu(wide @ wide.T, 1), eps):
        assert kept_by_components(X, labels, eps) <= kept <= kept_greedily(X, labels, eps)
        assert kept == kept_by_m(brute_force(X, labels)[0], eps)


def test_a_row_exactly_at_the_threshold_stays():
    assert kept_by_m(np.array([0.75]), 0.25) == {0}
    assert kept_by_m(np.array([np.nextafter(0.75, 1)]), 0.25) == set()


@given(instances, st.integers(2, 50), st.integers(1, 9), st.floats(0, 1))
def test_wanted_rows_alone_get_what_they_get_among_all(instance, unit_rows, block, share):
    X, labels = make(*instance)
    wanted = np.random.default_rng(instance[0]).random(len(X)) < share
    M, neighbor = score_through_units(X, labels, unit_rows, block, wanted=wanted)
    expected, _ = brute_force(X, labels)
    np.testing.assert_allclose(M, np.where(wanted, expected, 0), atol=2e-6)
    assert (neighbor[~wanted] == -1).all()
    for j in np.flatnonzero(neighbor >= 0):
        assert neighbor[j] < j
        np.testing.assert_allclose(X[neighbor[j]] @ X[j], expected[j], atol=2e-6)


@given(instances, st.integers(2, 50), st.integers(0, 40))
def test_rows_compared_with_the_others_only_never_meet_each_other(instance, unit_rows, n_others):
    X, labels = make(*instance)
    wanted = np.arange(len(X)) >= n_others  # the others rank first
    M, neighbor = score_through_units(X, labels, unit_rows, wanted=wanted, others_only=True)
    for j in range(len(X)):
        rivals = [i for i in range(min(n_others, len(X))) if labels[i] == labels[j]]
        best = max([0.0, *(min(float(X[i] @ X[j]), 1.0) for i in rivals)])
        if not wanted[j]:
            assert M[j] == 0
            continue
        np.testing.assert_allclose(M[j], best, atol=2e-6)
        if best > 1e-5:
            assert neighbor[j] in rivals


def test_wanted_rows_cost_their_own_pairs_only():
    X = random_rows(0, 1000, 4)
    rows = UnitRowsInOrder(
        vectors=X,
        hashes=hash_rows(X),
        vector=np.arange(1000),
        tile=np.zeros(1000, np.int32),
        role=np.full(1000, HOME, np.int8),
        is_target=np.arange(1000) >= 990,
    )
    assert score_unit(rows).comparisons == sum(range(990, 1000))


def test_many_copies_cost_one_row():
    X = np.repeat(unit_rows([[1.0, 2.0], [2.0, 1.0]]).X, 50_000, axis=0)
    M, neighbor = score_through_units(X[::25_000], np.zeros(4, int), 100)
    assert M.tolist()[1:2] == [1.0]
    rows = UnitRowsInOrder(
        vectors=X[::50_000],
        hashes=hash_rows(X[::50_000]),
        vector=np.repeat([0, 1], 50_000),
        tile=np.zeros(100_000, np.int32),
        role=np.full(100_000, HOME, np.int8),
    )
    scored = score_unit(rows)  # 5 * 10^9 comparisons if copies were compared
    assert scored.comparisons == 1
    best = scored.best
    assert (best.max_similarity == 1.0).sum() == 99_998
    np.testing.assert_allclose(best.max_similarity[50_000], 0.8, atol=1e-6)
    assert neighbor.shape == (4,)
