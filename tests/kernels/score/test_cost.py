import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.sample_plan import plan_training
from semdedup_spark.kernels.commit_size import next_rows
from semdedup_spark.kernels.score.cost import cheaper_all_with_all, comparison_cost, expected_probes
from semdedup_spark.kernels.score.unit_plan import plan_units
from semdedup_spark.kernels.select.survivors import last_of_chain


@given(
    st.integers(1, 10**6),
    st.integers(1, 2000),
    st.integers(1, 20_000),
    st.integers(1, 64),
    st.sampled_from([None, 1, 2]),
)
def test_a_training_plan_never_asks_for_more_than_there_is(n, d, k, memory, levels):
    plan = plan_training(
        n,
        d,
        n_clusters=k,
        sample_per_cluster=256,
        memory_mb=memory,
        task_memory_mb=memory,
        levels=levels,
    )
    assert 1 <= plan.n_clusters <= min(n, k)
    assert 0 < plan.share <= 1
    assert plan.share * n >= plan.n_clusters * 0.999
    assert plan.levels == (levels or (1 if plan.n_clusters <= 4096 else 2))
    if plan.levels == 1:  # one task can hold the sample, unless k rows are already more
        assert plan.share * n * 0.95 <= max(plan.task_rows, plan.n_clusters, 1024)


def test_commits_grow_to_the_wanted_seconds():
    assert next_rows([(512, 10.0)], target_seconds=10) == 512
    assert next_rows([(512, 1.0)], target_seconds=60) == 2048  # not more than fourfold


def test_a_source_slow_to_scan_gets_larger_commits():
    # 100 s fixed, 0.1 s a row: 60 s are not enough; a tenth of the commit may be fixed cost.
    rows = next_rows([(100, 110.0), (400, 140.0)], target_seconds=60)
    assert rows == 1600


@given(st.lists(st.integers(-1, 30), max_size=31))
def test_the_end_of_a_chain_is_found_by_walking(links):
    chain = [min(link, j - 1) for j, link in enumerate(links)]  # neighbors rank earlier
    reached = last_of_chain(np.array(chain, dtype=np.int64))
    for j in range(len(chain)):
        i = j
        while chain[i] >= 0:
            i = chain[i]
        assert reached[j] == i


def test_a_chain_of_ten_thousand_is_followed_in_logarithmic_rounds():
    assert last_of_chain(np.arange(-1, 9_999)).max() == 0


def test_expected_probes_scale_the_sample_and_draw_rare_counts_to_the_usual():
    sizes = np.array([1000.0, 1000.0, 2000.0])
    many = expected_probes([500, 1500, 2000], sizes, sample_rows=4000)
    np.testing.assert_allclose(many, [500, 1500, 2000], rtol=0.02)
    few = expected_probes([1, 0, 0], sizes, sample_rows=4)
    assert few[0] < 2 * few[1]  # one visit is no evidence of a thousand
    assert few[1] > 0


def test_comparison_cost_counts_pairs_probes_and_copies_by_hand():
    plan = plan_units([10, 20], unit_rows=1000, probes=[3, 0])
    cost = comparison_cost([10, 20], [3, 0], plan, n_clusters=2, dimension=2, flops_per_second=1e9)
    assert cost.comparisons == 10 * 10 / 2 + 20 * 20 / 2 + 10 * 3
    assert cost.probes == 3
    assert cost.copies == 30 + 3
    assert cost.core_seconds > 2 * 2 * (30 * 2 + cost.comparisons) / 1e9


def test_all_pairs_are_cheaper_once_probes_go_nearly_everywhere():
    assert not cheaper_all_with_all([10, 10], [4, 4], 100)
    assert cheaper_all_with_all([10, 10], [5, 5], 100)
    assert cheaper_all_with_all([20], [0], 100)


def test_probes_of_many_rows_are_charged_for_the_vectors_that_travel():
    sizes = np.full(100, 120)  # 12,000 rows, 20 probes each, as of images at eps 0.03
    assert not cheaper_all_with_all(sizes, 1 * sizes, 50_000)
    assert cheaper_all_with_all(sizes, 20 * sizes, 50_000)
    assert not cheaper_all_with_all(sizes, 20 * sizes, 1_000)  # all pairs need 24 copies of each


@given(
    fixed=st.floats(0, 30),
    per_row=st.floats(1e-5, 0.5),
    target=st.sampled_from([4.0, 60.0]),
    noise=st.lists(st.floats(1, 3), min_size=40, max_size=40),
)
def test_commits_never_shrink_until_only_their_fixed_part_is_left(fixed, per_row, target, noise):
    done, rows = [], 512
    for factor in noise:
        done.append((rows, factor * (fixed + per_row * rows)))
        rows = next_rows(done, target_seconds=target)
    late = [rows for rows, _ in done[10:]]
    overhead = len(late) * fixed
    # noise may cost something, but work never comes to a standstill
    assert overhead <= 1.5 * per_row * sum(late) + 1e-9
