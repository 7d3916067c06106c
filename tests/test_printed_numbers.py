"""What commands print holds for one row, for few rows, and beside decisions of people."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from semdedup_spark.answers.explanation import Absorbed, Explanation, Standing
from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.answers.tuning import SourceShare, Target, Threshold, Tuning
from semdedup_spark.config import ClusterConfig
from semdedup_spark.config.differences import config_difference
from semdedup_spark.kernels.score.cost import ComparisonCost
from semdedup_spark.pipeline.job_context import Progress
from semdedup_spark.pipeline.queries.cost_plan import Choice, Plan, plan_sizes, recommend
from semdedup_spark.report.console import print_summary, progress_line
from semdedup_spark.report.costs import print_plan
from semdedup_spark.report.operations import print_tidied
from semdedup_spark.report.tables import print_explanation, print_tuning
from semdedup_spark.tables.maintenance import Tidied


def printed(show, *args, **settings):
    out = io.StringIO()
    show(Console(file=out, width=300), *args, **settings)
    return " ".join(out.getvalue().split())


def tuning(rows, copies=0, targets=(), overrides=0):
    return Tuning(
        *(rows, copies, 0.3, "exact", 0.05),
        thresholds=[Threshold(0.05, 0.5, 4, 0.5)],
        targets=list(targets),
        curve=[(0.0, 1.0), (0.3, 0.5)],
        histogram=[],
        overrides=overrides,
    )


def standing(similarity, eps_max=0.3):
    kept_up_to = min(1 - similarity, eps_max)
    neighbor = "b" if similarity else None
    return Standing(0, 9, 1, 0, "a", 0.5, similarity, neighbor, True, kept_up_to, eps_max)


def test_a_row_without_a_neighbor_is_kept_up_to_the_horizon_and_not_beyond():
    def told(similarity, **how):
        return printed(print_explanation, Explanation("a", "kept", standing=standing(similarity)))

    assert "kept at any eps up to 0.3 (eps_max), by its own similarity" in told(0.0)
    assert "kept at any eps up to 0.3 (eps_max), by its own similarity" in told(0.2)
    assert "kept at any eps up to 0.1, by its own similarity" in told(0.9)
    assert "at no eps" in told(1.0)


@pytest.mark.parametrize(
    ("cosine", "text"),
    [
        (0.93123, "0.9312"),
        (0.99994, "0.9999"),
        (0.99996, "0.99996"),
        (0.999983, "0.99998"),
        (1 - 2**-24, "0.9999999"),
        (1.0, "1.0000"),
        (-0.5, "-0.5000"),
    ],
)
def test_only_what_is_equal_has_a_similarity_of_1(cosine, text):
    assert similarity_text(cosine) == text


def test_one_thing_is_not_printed_as_several():
    one = Absorbed("b", 0.9, 0.9)
    kept = Explanation("a", "kept", n_absorbed=1, absorbed=[one])
    assert "stands for 1 removed row " in printed(print_explanation, kept)
    more = Explanation("a", "kept", n_absorbed=2, absorbed=[one])
    assert "stands for 2 removed rows" in printed(print_explanation, more)
    assert "and 1 less similar one" in printed(print_explanation, more)[-22:]
    assert "1 scored row; 1 (100.0 %) is an exact copy" in printed(print_tuning, tuning(1, 1))
    assert "2 scored rows; 0 (0.0 %) are exact copies" in printed(print_tuning, tuning(2))
    assert "1 of 1 row (100 %)" in progress_line(Progress("embed", 1, 1, 1.0))
    assert "1 row in 1 cluster," in printed(print_plan, small_plan(1))
    assert "13 rows in 1 cluster," in printed(print_plan, small_plan(13))
    assert "1 of the removed rows is itself not over 0.95" in summary(uncovered=1)
    assert "2 of the removed rows are themselves not over 0.95" in summary(uncovered=2)


def summary(overrides=0, **counts):
    every = {"read": 13, "kept": 9, "removed": 4, "quarantined": 0, **counts}
    settings = {"eps": 0.05, "curve": [(0.05, 0.7)], "reasons": []}
    return printed(print_summary, counts=every, **settings, overrides=overrides)


NOT_COUNTED = "Overrides are not counted here: {} that people restored or removed."


@pytest.mark.parametrize(("n", "rows"), [(1, "1 row"), (1200, "1,200 rows")])
def test_beside_a_curve_stands_that_decisions_of_people_are_not_in_it(n, rows):
    assert NOT_COUNTED.format(rows) in summary(overrides=n)
    assert NOT_COUNTED.format(rows) in printed(print_tuning, tuning(9, overrides=n))


def test_without_decisions_of_people_nothing_is_said_of_them():
    assert "verride" not in summary() + printed(print_tuning, tuning(9))


def test_rows_for_people_and_rows_that_were_not_searched_are_told_where_there_are_any():
    told = summary(review=1200, unsearched=7)
    assert "1,200 of the kept rows lie between eps and select.review" in told
    assert "for 7 of the rows it would cost too much to look for another row" in told
    assert "review" not in summary()
    assert "unsearched" not in summary(unsearched=0)


def test_a_share_that_exact_copies_forbid_is_explained_in_words():
    targets = [Target(0.99, 0.01, 0.9, "copies"), Target(0.1, None, None, "horizon")]
    told = printed(print_tuning, tuning(20, 2, targets))
    assert "cannot be reached: exact copies go at any eps (2 rows)" in told
    assert "beyond score.eps_max 0.3: raise it and score again" in told
    assert "Rows of equal similarity are kept or removed together" in told
    assert "equal M" not in told


def choice(recall, eps_max, comparisons, seconds):
    return Choice(recall, eps_max, ComparisonCost(0.0, comparisons, 0.0, seconds), None)


def small_plan(n):
    known = plan_sizes(n, 384, ClusterConfig())
    choices = [choice("cluster", 0.3, n * n / 2, 1e-6), choice("exact", 0.3, n * n / 2, 1e-6)]
    best, why = recommend(choices, 0.3)
    said = (known.forecast, known.why_clusters, known.flops_per_second)
    return Plan(n, 1, *said, choices, best, why)


@pytest.mark.parametrize("n", [1, 2, 13, 300])
def test_a_plan_of_few_rows_has_no_more_pairs_than_there_are_and_no_ratio(n):
    told = printed(print_plan, small_plan(n))
    pairs = n * (n - 1) // 2
    assert f"all pairs ({pairs:,}), each once" in told
    assert re.findall(r"exact 0\.3 0\.00 ([\d,.e+]+) 100\.00 %", told) == [f"{pairs:,}"]
    assert "times" not in told
    assert "no pair is missed, in less than half a second of one core" in told


def test_no_cluster_is_expected_to_have_more_rows_than_there_are():
    told = printed(print_plan, plan_sizes(13, 384, ClusterConfig(n_clusters=4)))
    assert "mean 3, 99 % below 13, largest 13" in told
    assert "42 of 78 pairs" in told


def test_the_ratios_of_a_plan_have_as_many_figures_as_they_deserve():
    many = plan_sizes(437_444_349, 512, ClusterConfig(n_clusters=50_000)).why_clusters
    assert re.search(r"half as many would cost 1\.\d\d times as much", many)
    few = plan_sizes(10_003, 384, ClusterConfig()).why_clusters
    assert few == "the cheapest; twice as many would cost 10 times as much"
    costly = [choice("cluster", 0.3, 9.0, 1.0), choice("exact", 0.3, 9.0, 50.0)]
    assert recommend(costly, 0.3) == (
        1,
        "no pair is missed, for 50 times the cost of recall: cluster",
    )
    _, why = recommend([*costly, choice("exact", 0.5, 9.0, 70.0)], 0.5)
    assert why.endswith("; eps_max 0.5 would cost more than a minute of one core")
    _, why = recommend([choice("cluster", 0.3, 9.0, 100.0), choice("exact", 0.3, 9.0, 500.0)], 0.3)
    assert why == "exact recall costs more than 2 times recall: cluster"


def test_a_setting_without_a_value_is_told_in_words():
    told = config_difference('{"eps": 0.05, "keep": null}', '{"eps": null, "keep": 0.5}')
    assert told == ["eps 0.05 -> not set", "keep not set -> 0.5"]
    assert config_difference("{}", '{"by": "x"}') == ["by not set -> 'x'"]


def test_maintenance_tells_what_it_left_out():
    spared = ("one file: nothing to compact", "nothing is 168 hours old yet")
    told = printed(print_tidied, [Tidied("runs", 1, 1, 2**20, spared), Tidied("scores", 3, 1, 9)])
    assert "runs 1 1 1.0 one file: nothing to compact; nothing is 168 hours old yet" in told


def by_site(*shares):
    counted = [SourceShare(name, rows, [kept]) for name, rows, kept in shares]
    return replace(tuning(sum(each.rows for each in counted)), by="site", sources=counted)


def test_values_that_lose_clearly_more_than_their_share_are_named_and_small_ones_are_not():
    # All rows lose a half.
    told = printed(print_tuning, by_site(("a", 1000, 0.6), ("b", 500, 0.2), ("c", 4, 0.0)))
    assert "these lose more than their share (all rows: 50.0 % removed): b 80.0 % (76." in told
    assert "1.6 times." in told
    assert "a 40.0" not in told
    assert "c 100.0" not in told  # 4 rows say little
    even = printed(print_tuning, by_site(("a", 1000, 0.5), ("b", 500, 0.5)))
    assert "more than their share" not in even
