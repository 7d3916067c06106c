import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.packing import plan_units, route


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.integers(2, 40),
    st.integers(0, 2**32 - 1),
    st.floats(0.2, 5.0),
)
def test_every_pair_of_a_cluster_meets_in_exactly_one_unit(sizes, unit_rows, seed, wrong):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    plan = plan_units(np.array(sizes) * wrong, unit_rows=unit_rows)  # sizes may be estimates
    hashes = rng.integers(0, 2**64, len(labels), dtype=np.uint64)
    routes = route(labels, hashes, plan)
    meetings = np.zeros((len(labels), len(labels)), dtype=int)
    for unit in np.unique(routes.unit):
        here = routes.unit == unit
        for i, slot_i, across in zip(
            routes.row[here], routes.slot[here], routes.across[here], strict=True
        ):
            for j, slot_j in zip(routes.row[here], routes.slot[here], strict=True):
                if labels[i] == labels[j] and (slot_i != slot_j) == across:
                    meetings[i, j] += 1
    np.testing.assert_array_equal(meetings, labels[:, None] == labels[None, :])


def test_a_big_cluster_is_cut_so_that_no_unit_exceeds_the_memory():
    plan = plan_units([100_000, 10, 10], unit_rows=5_000)
    assert plan.slots.tolist() == [40, 1, 1]
    assert plan.n_units == 1 + 40 * 41 // 2
    assert plan.has_tiles


def test_small_clusters_share_a_unit():
    plan = plan_units([10] * 100, unit_rows=10_000)
    assert plan.n_units == 1
    assert not plan.has_tiles


def test_units_of_uneven_clusters_cost_at_most_twice_the_target():
    sizes = (50_000 / np.arange(1, 200)).astype(int)  # Zipf
    plan = plan_units(sizes, unit_rows=10**6)
    cost = sizes * (sizes / 2 + 200.0)
    target = max(cost.sum() / 64, 2e6)
    per_unit = np.bincount(plan.first_unit[plan.slots == 1], cost[plan.slots == 1])
    assert per_unit.max() <= 2 * target
    cut = plan.slots > 1
    assert ((sizes[cut] / plan.slots[cut]) ** 2).max() <= 1.01 * target


def test_a_unit_of_one_row_is_refused():
    with pytest.raises(ValueError, match=r"unit_rows must be >= 2\. Got 1"):
        plan_units([3], unit_rows=1)
