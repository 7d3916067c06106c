import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.cost import cheapest, forecast, measured_rate
from semdedup_spark.kernels.cluster.size_curve import USUAL, SizeCurve, survey_sizes
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.vectors import unit_rows

PLAN = {"sample_per_cluster": 256, "unit_rows": 50_000}
EVEN = SizeCurve((1,), (1.0,), 1.0, 1.0)


def test_small_tables_are_compared_all_with_all():
    assert cheapest(1, 384, **PLAN).n_clusters == 1
    assert cheapest(5_000, 384, **PLAN).n_clusters == 1


def test_large_tables_get_about_the_square_root_of_their_rows():
    assert 300 < cheapest(1_000_000, 384, **PLAN).n_clusters < 3_000


@given(st.integers(1, 10**7), st.integers(1, 1000))
def test_the_cheapest_k_costs_no_more_than_one_cluster_or_its_neighbors(n, d):
    best = cheapest(n, d, **PLAN)
    assert 1 <= best.n_clusters <= max(n // 2, 1)
    for k in (1, best.n_clusters * 2, max(best.n_clusters // 2, 1)):
        assert best.cost <= forecast(n, d, k, levels=best.levels, **PLAN).cost * 1.01 or k > n // 2


def test_the_papers_laion_compares_3_8e12_of_1_9e17_similarities():
    """437,444,349 rows, k = 50,000 (Abbas et al. 2023): n^2 / k of n^2, where clusters are even."""
    n = 437_444_349
    plan = forecast(n, 512, 50_000, sizes=EVEN, **PLAN)
    assert float(f"{2 * plan.comparisons:.2g}") == 3.8e12
    assert float(f"{n * n:.2g}") == 1.9e17
    assert round(plan.mean_size) == 8_749
    assert plan.levels == 2


def test_uneven_clusters_cost_more_and_ask_for_more_clusters():
    uneven = SizeCurve((1,), (8.0,), 9.0, 50.0)
    even, worse = (forecast(10**6, 64, 1000, sizes=sizes, **PLAN) for sizes in (EVEN, uneven))
    assert worse.comparisons == pytest.approx(8 * even.comparisons)
    more = cheapest(10**6, 384, sizes=uneven, **PLAN).n_clusters
    assert more > 1.5 * cheapest(10**6, 384, sizes=EVEN, **PLAN).n_clusters


def test_a_forecast_by_hand():
    plan = forecast(1000, 10, 4, sizes=EVEN, sample_per_cluster=100, unit_rows=10**6)
    assert plan.comparisons == 4 * 250**2 / 2
    assert plan.assignment == 1000 * 4 * 10
    assert plan.comparison == plan.comparisons * 10
    assert plan.bytes_moved == 1000 * 10 * 4
    assert plan.core_seconds(1e12) > plan.core_seconds(1e13)
    cut = forecast(1000, 10, 4, sizes=EVEN, sample_per_cluster=100, unit_rows=50)
    assert cut.bytes_moved == 10 * plan.bytes_moved  # a row meets ten slots of 25 rows


def test_a_survey_of_few_rows_tells_how_uneven_clusters_of_all_rows_are():
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((300, 16))
    weights = 1 / np.arange(1, 301)
    labels = rng.choice(300, 40_000, p=weights / weights.sum())
    spread = rng.uniform(0.01, 0.5, 300)[labels, None]
    X = unit_rows(centers[labels] + spread * rng.standard_normal((40_000, 16))).X
    surveyed = survey_sizes(X[:5000])
    for k, imbalance in zip(surveyed.n_clusters, surveyed.imbalance, strict=True):
        counts = train(X, k, Training(1, 5, 0.0)).counts
        assert 0.5 < imbalance / (k * (counts / len(X) @ counts) / len(X)) < 2
    assert max(surveyed.imbalance) > 1.15


def test_copies_are_counted_once_and_few_rows_say_nothing():
    X = unit_rows(np.random.default_rng(1).standard_normal((2000, 8))).X
    giant = np.concatenate([X, np.repeat(X[:1], 20_000, axis=0)])
    assert survey_sizes(giant).largest < 5
    assert survey_sizes(giant[:1]) == survey_sizes(X[:9]) == USUAL


@given(st.floats(1, 1e6))
def test_imbalance_lies_between_its_neighbors_and_never_below_one(k):
    curve = SizeCurve((10, 100), (1.5, 3.0), 2.0, 9.0)
    assert 1.0 <= curve.at(k) <= 3.0 * (max(k, 100) / 100) ** 0.5 + 1e-9
    assert curve.at(10) == pytest.approx(1.5)
    assert curve.at(100) == pytest.approx(3.0)


def test_the_rate_of_this_machine_is_a_rate():
    assert 1e8 < measured_rate(64) < 1e14


def test_two_levels_are_chosen_where_they_halve_the_cost():
    few, many = (cheapest(n, 64, **PLAN) for n in (10**6, 4 * 10**8))
    assert (few.levels, many.levels) == (1, 2)
    assert many.n_clusters > 4096
    assert cheapest(4 * 10**8, 64, levels=1, **PLAN).cost > 2 * many.cost
