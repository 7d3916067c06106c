import numpy as np
import pytest

from semdedup_spark.kernels.score.unit_plan import plan_units


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
    target = max(cost.sum() / 64, 4e7)
    per_unit = np.bincount(plan.first_unit[plan.slots == 1], cost[plan.slots == 1])
    assert per_unit.max() <= 2 * target
    cut = plan.slots > 1
    assert ((sizes[cut] / plan.slots[cut]) ** 2).max() <= 1.01 * target


def test_probes_are_cut_where_they_outnumber_the_members():
    plan = plan_units([1_000, 1_000], unit_rows=4_000, probes=[100_000, 10])
    assert plan.slots.tolist() == [1, 1]
    assert plan.probe_slots.tolist() == [50, 0]  # a slot has half of the rows of a unit
    assert plan.n_units == 1 + 1 + 50


def test_what_is_a_second_of_work_is_one_unit():
    assert plan_units([8_000], unit_rows=10**6).n_units == 1
    assert plan_units([500] * 100, unit_rows=10**6).n_units == 1
    assert plan_units([20_000], unit_rows=10**6).n_units <= 10  # a vector travels to 4 of them


def test_a_cut_cluster_has_room_for_probes_that_nobody_expected():
    assert plan_units([100_000], unit_rows=5_000, probes=[0]).probe_slots.tolist() == [1]


def test_a_unit_of_one_row_is_refused():
    with pytest.raises(ValueError, match=r"unit_rows must be >= 2\. Got 1"):
        plan_units([3], unit_rows=1)
