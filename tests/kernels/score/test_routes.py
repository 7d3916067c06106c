import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.score.routes import FIRST, HOME, SECOND, Visits, home_units, route
from semdedup_spark.kernels.score.unit_plan import plan_units

instances = st.tuples(
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.integers(2, 30),
    st.integers(0, 2**32 - 1),
    st.floats(0.2, 5.0),
)


def routed(sizes, unit_rows, seed, wrong):
    """Routes of random rows with random probes, planned from sizes that are only estimates."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    wants = rng.random((len(labels), len(sizes))) < rng.random()
    wants[np.arange(len(labels)), labels] = False
    row, cluster = np.nonzero(wants)
    expected = np.bincount(cluster, minlength=len(sizes)) * wrong
    plan = plan_units(np.array(sizes) * wrong, unit_rows=unit_rows, probes=expected)
    hashes = rng.integers(0, 2**64, len(labels), dtype=np.uint64)
    travels = rng.random(len(labels)) < 0.8
    visits = Visits(row, cluster.astype(np.int32))
    return labels, wants, travels, plan, route(labels, hashes, plan, travels=travels, probes=visits)


def meetings(routes, n):
    """(n, n) how often row j is compared with row i."""
    times = np.zeros((n, n), dtype=int)
    for unit in np.unique(routes.unit):
        here = np.flatnonzero(routes.unit == unit)
        for a in here:
            for b in here:
                if routes.tile[a] == routes.tile[b]:
                    both_home = routes.role[a] == routes.role[b] == HOME
                    sides = (routes.role[a] == SECOND) != (routes.role[b] == SECOND)
                    times[routes.row[a], routes.row[b]] += both_home or sides
    return times


@given(instances)
def test_members_meet_once_and_probes_meet_the_members_they_visit_once(instance):
    labels, wants, travels, _, routes = routed(*instance)
    times = meetings(routes, len(labels))
    for i in range(len(labels)):
        for j in range(len(labels)):
            if labels[i] == labels[j]:
                # rows that stay at home meet those of their own slot only
                assert times[i, j] == 1 or (times[i, j] == 0 and not (travels[i] and travels[j]))
            elif travels[i] and travels[j]:
                assert times[i, j] == int(wants[i, labels[j]]) + int(wants[j, labels[i]])


@given(instances)
def test_every_row_is_at_home_once(instance):
    labels, _, _, plan, routes = routed(*instance)
    home = routes.role == HOME
    assert sorted(routes.row[home]) == list(range(len(labels)))
    assert (routes.tile[home] == labels[routes.row[home]]).all()
    for label in np.unique(labels):
        units = home_units(label, plan)
        assert np.isin(routes.unit[home & (routes.tile == label)], units).all()


@given(instances)
def test_a_unit_belongs_to_one_cut_cluster_or_to_whole_ones(instance):
    _, _, _, plan, routes = routed(*instance)
    whole = plan.probe_slots == 0
    assert routes.unit.max() < plan.n_units
    for unit in np.unique(routes.unit):
        here = routes.unit == unit
        tiles = np.unique(routes.tile[here])
        assert len(tiles) == 1 or whole[tiles].all()
        if not whole[tiles].all():
            kinds = set(routes.role[here])
            assert not {HOME, FIRST} <= kinds
            assert not {HOME, SECOND} <= kinds


def test_without_probes_every_pair_of_a_cluster_meets_once_and_no_other():
    labels = np.repeat([0, 1, 2], [30, 5, 1]).astype(np.int32)
    plan = plan_units([30, 5, 1], unit_rows=8)
    hashes = np.random.default_rng(0).integers(0, 2**64, 36, dtype=np.uint64)
    times = meetings(route(labels, hashes, plan), 36)
    np.testing.assert_array_equal(times, labels[:, None] == labels[None, :])
