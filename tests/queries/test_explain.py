"""`semdedup explain`: why a row went or stayed, from the tables alone."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from pyspark.sql import functions as F

from semdedup_spark.cli import cli
from semdedup_spark.errors import StageOrderError, UnknownRowError
from semdedup_spark.pipeline import run_select
from semdedup_spark.pipeline.queries import explain as explaining
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.queries.selections import edge_removals, find_selection


@pytest.fixture(scope="module")
def removed(finished):
    return {row["id"]: row for row in finished.table("duplicates").collect()}


@pytest.fixture(scope="module")
def scores(finished):
    return {row["id"]: row for row in finished.table("scores").collect()}


def test_a_removed_row_tells_its_way_to_the_survivor(finished, removed, scores):
    chained = next(
        (r for r in removed.values() if r["neighbor_id"] != r["survivor_id"]),
        next(iter(removed.values())),
    )
    told = run_explain(finished.job(), str(chained["id"]))
    assert told.fate == "removed"
    assert told.eps == 0.05
    assert told.id == chained["id"]  # a whole number, as its column has it
    assert [link.id for link in told.chain] == [
        told.id,
        *(link.neighbor_id for link in told.chain[:-1]),
    ]
    assert told.chain[-1].neighbor_id == told.survivor_id == chained["survivor_id"]
    assert told.chain_complete
    for link in told.chain:
        assert link.similarity == pytest.approx(scores[link.id]["max_similarity"])
        assert link.similarity > 0.95
    assert told.survivor_id not in removed
    assert told.covered == chained["covered"]
    row = scores[told.id]
    assert told.standing.kept_up_to == pytest.approx(1 - row["max_similarity"])
    assert told.contents[str(told.survivor_id)]


def test_the_rank_in_the_cluster_is_that_of_the_rank_order(finished, scores):
    row = sorted(scores.values(), key=lambda r: r["id"])[17]
    told = run_explain(finished.job(), str(row["id"])).standing
    cluster = sorted(
        (r["batch"], r["rank_key"], r["id"])
        for r in scores.values()
        if r["cluster_id"] == row["cluster_id"]
    )
    assert told.cluster_rows == len(cluster)
    assert cluster[told.rank_in_cluster - 1][2] == row["id"]


def test_what_an_eps_would_keep_is_told_up_to_the_horizon_that_the_scores_have(finished, scores):
    lonely = min(scores.values(), key=lambda r: (r["max_similarity"], r["id"]))
    assert 1 - lonely["max_similarity"] > 0.3
    for settings in ((), ("score.eps_max=0.2",)):  # a changed job file changes no scores
        standing = run_explain(finished.job(*settings), str(lonely["id"])).standing
        assert (standing.kept_up_to, standing.eps_max) == (0.3, 0.3)


def test_a_kept_row_tells_all_that_it_absorbed(finished, removed):
    groups = {}
    for row in removed.values():
        groups.setdefault(row["survivor_id"], set()).add(row["id"])
    survivor, members = max(groups.items(), key=lambda item: (len(item[1]), item[0]))
    told = run_explain(finished.job(), str(survivor))
    assert told.fate == "kept"
    assert told.chain == []
    assert told.n_absorbed == len(members)
    assert {each.id for each in told.absorbed} == members
    few = run_explain(finished.job(), str(survivor), most=1)
    assert (few.n_absorbed, len(few.absorbed)) == (len(members), 1)
    assert few.absorbed[0] == told.absorbed[0]


def test_a_rejected_row_tells_why(finished):
    told = run_explain(finished.job(), "7")
    assert told.fate == "quarantined"
    assert [each.reason for each in told.rejections] == ["null_vector"]
    assert told.standing is None


@pytest.mark.parametrize(
    ("key", "hint"), [("999", "ids look like"), ("12345", "ids look like"), ("100", "'10")]
)
def test_an_unknown_id_is_refused_with_a_way_out(finished, key, hint):
    with pytest.raises(UnknownRowError, match=f"Got '{key}'") as caught:
        run_explain(finished.job(), key)
    assert hint in str(caught.value)


def test_long_chains_are_told_in_part(finished, removed):
    chained = [r for r in removed.values() if r["neighbor_id"] != r["survivor_id"]]
    if not chained:
        pytest.skip("no chains in this input")
    told = run_explain(finished.job(), str(chained[0]["id"]), most_links=1)
    assert len(told.chain) == 1
    assert not told.chain_complete


def test_a_selection_that_is_not_there_is_refused(finished):
    with pytest.raises(StageOrderError, match="a selection called 'gone' must exist"):
        run_explain(finished.job(), "1000", name="gone")


def test_a_row_that_must_agree_protects_says_from_which_row(finished):
    chosen = ["select.name=guarded", "select.eps=0.05", "select.must_agree=[split]"]
    run_select(finished.job(*chosen))
    protected = finished.table("protected_guarded").first()
    told = run_explain(finished.job(), str(protected["id"]), name="guarded")
    assert (told.fate, told.selection) == ("kept", "guarded")
    assert told.protected_from == protected["protected_from"]
    assert told.standing.max_similarity > 0.95
    assert run_explain(finished.job(), str(protected["id"])).protected_from is None


def test_before_any_selection_a_row_is_only_scored(finished, monkeypatch, removed):
    monkeypatch.setattr(explaining, "find_selection", lambda job, name: None)
    told = run_explain(finished.job(), str(next(iter(removed))))
    assert told.fate == "scored"
    assert told.standing.max_similarity > 0.95


def test_edge_cases_are_the_removals_nearest_to_the_threshold_with_the_similarity_that_removed_them(
    finished, removed
):
    selection = find_selection(finished.job())
    shown = edge_removals(finished.job(), selection, n=7)
    nearest = sorted(row["similarity"] for row in removed.values())[:7]
    assert [each.similarity for each in shown] == pytest.approx(nearest)
    assert all(each.similarity > 0.95 for each in shown)
    for each in shown:
        row = removed[int(each.id)]
        assert each.similarity == pytest.approx(row["similarity"])
        assert each.survivor_similarity == pytest.approx(row["survivor_similarity"])
        assert each.covered == row["covered"]
        assert int(each.survivor_id) == row["survivor_id"]
        assert int(each.neighbor_id) == row["neighbor_id"]
        assert int(each.survivor_id) not in removed
        assert each.text
        assert each.survivor_text


def test_a_seed_chooses_among_edge_cases_of_one_similarity(spark, finished):
    selection = find_selection(finished.job())
    copies = selection.duplicates.withColumn("similarity", F.lit(0.96))
    alike = replace(selection, duplicates=copies)
    drawn = [{e.id for e in edge_removals(finished.job(), alike, n=3, seed=i)} for i in range(5)]
    assert len(set(map(frozenset, drawn))) > 1
    assert drawn[0] == {e.id for e in edge_removals(finished.job(), alike, n=3)}


def test_a_row_that_only_a_decision_removed_is_no_edge_case(finished, removed):
    selection = find_selection(finished.job())
    chosen = min(removed.values(), key=lambda row: row["similarity"])["id"]
    reason = F.when(F.col("id") == chosen, "override").otherwise(F.col("reason"))
    decided = replace(selection, duplicates=selection.duplicates.withColumn("reason", reason))
    assert chosen not in {int(e.id) for e in edge_removals(finished.job(), decided, n=1000)}


def test_the_command_prints_words_or_json(finished, removed):
    key = str(next(iter(removed)))
    base = ["explain", "--config", str(finished.job_file)]
    shown = CliRunner().invoke(cli, [*base, "--id", key], catch_exceptions=False)
    assert shown.exit_code == 0
    for words in (f"{key}: removed at eps 0.05", "nearest earlier row", "the way to its survivor"):
        assert words in shown.output
    printed = json.loads(CliRunner().invoke(cli, [*base, "--id", key, "--json"]).stdout)
    assert printed["id"] == int(key)
    sampled = CliRunner().invoke(cli, [*base, "--sample", "2"], catch_exceptions=False)
    assert sampled.output.count("similarity") == 2
    assert CliRunner().invoke(cli, base).exit_code == 2
