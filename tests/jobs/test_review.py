"""Rows between two thresholds: kept and listed, and what people say of them."""

import csv
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest
from click.testing import CliRunner

from semdedup_spark import open_job
from semdedup_spark.answers.audit import Verdict
from semdedup_spark.cli import cli
from semdedup_spark.config import canonical_json
from semdedup_spark.errors import ConfigError, GuardError, StageOrderError
from semdedup_spark.pipeline import run_forget, run_select
from semdedup_spark.pipeline.operations.verdicts import apply_verdicts, store_verdicts
from semdedup_spark.pipeline.queries.audit.draw import Drawing, draw, draw_removals
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.stages.select import select as select_stage
from semdedup_spark.pipeline.stages.select.review import as_judged
from semdedup_spark.transforms.select.nearest import nearest_rows
from semdedup_spark.transforms.select.resolve import Case, resolve_cover, resolve_paper
from tests.jobs.jobfiles import table
from tests.jobs.test_overriding import lake  # noqa: F401  a fixture

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def changed(config, **select):
    asked = {"eps": 0.02, "review": 0.05, **select}
    return config.model_copy(update={"select": type(config.select)(**asked)})


def selected(spark, config, **select):
    """(id to survivor of review, of duplicates, ledger row); what must hold always is checked."""
    config = changed(config, **select)
    job = open_job(spark, config)
    record = run_select(job)
    job.ledger.flush()
    ending = f"_{config.select.name}" if config.select.name else ""
    rows = {
        name: table(spark, config.output, f"{name}{ending}").collect()
        for name in ("deduplicated", "duplicates", "review", "assignment")
    }
    kept = {row["doc"] for row in rows["deduplicated"]}
    listed = {row["id"]: row["survivor_id"] for row in rows["review"]}
    removed = {row["id"]: (row["survivor_id"], row["reason"]) for row in rows["duplicates"]}
    assert listed.keys() | set(listed.values()) <= kept
    assert {survivor for survivor, _ in removed.values()} <= kept
    assert record.counts["review"] == len(listed)
    reasons = {row["id"]: row["reason"] for row in rows["assignment"]}
    assert all(reasons[i] in ("kept", "protected") for i in listed)
    assert all(reasons[i] == why for i, (_, why) in removed.items())
    return listed, removed, record


def judge(spark, config, judgement, *pairs):
    said = [Verdict(str(a), str(b), judgement, "me", NOON) for a, b in pairs]
    store_verdicts(open_job(spark, config), said)
    return apply_verdicts(open_job(spark, config))


GONE = {2: (1, "similarity"), 3: (1, "similarity"), 4: (1, "similarity")}


@pytest.mark.long
def test_rows_between_the_thresholds_stay_until_people_call_them_duplicates(spark, lake):  # noqa: F811
    listed, removed, record = selected(spark, lake)
    assert (listed, removed) == ({51: 50, 52: 51}, GONE)
    assert selected(spark, lake)[2].reused
    row = table(spark, lake.output, "review").filter("id = 51").first()
    assert row["similarity"] == row["survivor_similarity"] == pytest.approx(0.96891, abs=1e-5)
    assert (row["neighbor_id"], row["covered"]) == (50, True)
    assert run_explain(open_job(spark, changed(lake)), "52").in_review_for == 51
    # A verdict on a pair that is not listed removes nothing: (3, 50) is no pair of the scores.
    applied = judge(spark, lake, "duplicate", (51, 50), (52, 51), (3, 50))
    assert (applied["also_merge"].total, applied["never_merge"].total) == (3, 0)
    listed, removed, record = selected(spark, lake)
    assert listed == {}
    # 51 stood for 52 and goes itself, so 50 stands for both.
    assert removed == {**GONE, 51: (50, "verdict"), 52: (50, "verdict")}
    assert "also_merge" in record.why
    assert record.counts["uncovered"] == 0  # 52 is not covered; people judged it
    # Removals that people decided are no sample of the rule's.
    assert draw(open_job(spark, changed(lake)), Drawing(), None).sizes.sum() == len(GONE)
    # `not` takes the row back, and its pair is not asked again.
    judge(spark, lake, "not", (52, 51))
    later = [Verdict("52", "51", "not", "you", datetime.now(timezone.utc))]
    store_verdicts(open_job(spark, lake), later)
    apply_verdicts(open_job(spark, lake))
    listed, removed, record = selected(spark, lake)
    assert (listed, removed) == ({52: 50}, {**GONE, 51: (50, "verdict")})
    # The pair that is listed since then counts as well, whichever row is named first.
    judge(spark, lake, "duplicate", (50, 52))
    listed, removed, _ = selected(spark, lake)
    assert (listed, removed) == ({}, {**GONE, 51: (50, "verdict"), 52: (50, "verdict")})
    # Without a band nothing of this is asked, and no row goes for a verdict.
    config = changed(lake, review=None)
    record = run_select(open_job(spark, config))
    assert record.outputs.keys() == {"duplicates", "deduplicated", "assignment"}
    assert table(spark, lake.output, "review").count() == 0
    assert {r["id"] for r in table(spark, lake.output, "duplicates").collect()} == GONE.keys()
    with pytest.raises(StageOrderError, match=r"made with select\.review"):
        draw(open_job(spark, config), Drawing(review=True), None)
    # An erased row leaves the pairs and the band.
    selected(spark, lake)
    forgotten = run_forget(open_job(spark, changed(lake)), ["52"])
    assert {"review", "never_merge"} <= {
        place.rpartition("/")[2].strip("`") for place in forgotten.tables
    }
    assert table(spark, lake.output, "review").count() == 0
    pairs = table(spark, lake.output, "also_merge").collect()
    assert {(r["id"], r["survivor_id"]) for r in pairs} == {(51, 50), (3, 50)}


@pytest.mark.long
def test_a_verdict_on_a_pair_that_another_verdict_brought_about_counts(spark, lake):  # noqa: F811
    # The rule removes 11 for 10, which people deny. So 11 stands for itself, and 12 goes for it.
    near = [(10, None, 0.0), (11, 10, 0.99), (12, 11, 0.96)]
    rows = [(i, 0, 0, float(i), similarity, other) for i, other, similarity in near]
    ddl = "id bigint, batch int, cluster_id int, rank_key double, max_similarity float"
    scores = spark.createDataFrame(rows, f"{ddl}, neighbor_id bigint")
    vectors = [(i, np.eye(3, dtype="f4")[i - 10].tolist()) for i, *_ in near]
    embeddings = spark.createDataFrame(vectors, "id bigint, embedding array<float>")
    case = Case(
        scores, embeddings, 0.02, True, lambda: scores, lambda: nearest_rows(scores, None, 0.05)
    )
    judge(spark, lake, "not", (11, 10))
    judge(spark, lake, "duplicate", (12, 11), (10, 11))  # of pairs with both, the former counts
    for resolve in (resolve_paper, resolve_cover):
        judged = as_judged(open_job(spark, changed(lake)), case, resolve(case).removed)
        rows = judged.removed.collect()
        assert {r["id"]: (r["survivor_id"], r["reason"]) for r in rows} == {12: (11, "verdict")}
        assert [tuple(row) for row in judged.saved.collect()] == [(11, 10)]


def test_a_band_is_drawn_and_judged_like_removals(spark, lake, tmp_path):  # noqa: F811
    selected(spark, lake, name="drawn", eps=0.001)
    job_file, out = tmp_path / "job.yml", tmp_path / "review.csv"
    job_file.write_text(canonical_json(changed(lake, name="drawn", eps=0.001)))
    drawn = draw_removals(
        open_job(spark, changed(lake, name="drawn", eps=0.001)), Drawing(review=True)
    )
    assert {each.row.id for each in drawn} >= {"2", "3", "4"}
    assert all("similarity" in each.stratum for each in drawn)
    options = ["audit", "--config", str(job_file), "--review"]
    assert "rows)" in CliRunner().invoke(cli, [*options, "--out", str(out)]).output
    with out.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows({**line, "judgement": "duplicate", "reviewer": "me"} for line in lines)
    said = CliRunner().invoke(cli, [*options, "--verdicts", str(out)]).output
    assert "of the rows between eps 0.001 and 0.05 are duplicates" in said
    n = len(drawn)  # fewer where an earlier test has had rows judged
    assert f"of {n} rows that were kept some {n} to {n} are duplicates (95 %)" in said
    page = tmp_path / "review.html"
    CliRunner().invoke(cli, [*options, "--out", str(page)])
    assert "Is the similar row a duplicate of the kept row?" in page.read_text(encoding="utf-8")


def test_a_guard_stops_a_selection_that_would_list_too_many_rows(spark, lake):  # noqa: F811
    with pytest.raises(GuardError, match=r"must be at most 1 \(select\.max_review\).* be 3"):
        run_select(
            open_job(spark, changed(lake, name="few", eps=0.001, review=0.002, max_review=1))
        )


@pytest.mark.long
def test_rows_that_were_not_searched_are_counted_by_any_resolution(spark, lake, monkeypatch):  # noqa: F811
    def dear(*asked):
        return replace(nearest_rows(*asked), unsearched=7)

    monkeypatch.setattr(select_stage, "nearest_rows", dear)
    _, _, record = selected(spark, lake, name="dear", resolution="components", must_agree=["site"])
    assert record.counts["unsearched"] == 7


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ({"eps": 0.05}, r"greater than eps \(0\.05\)"),
        ({"review": 0.5}, r"select\.review must be <= score\.eps_max"),
        ({"eps": None, "keep": 0.5}, "must go with eps, not keep"),
        ({"review": None, "max_review": 3}, "max_review must go with review"),
    ],
)
def test_a_band_that_cannot_be_is_refused_with_the_job_file(tmp_path, select, said):
    from semdedup_spark.config import parse_config

    source = {"kind": "text", "table": "t", "id": "i", "content": "c"}
    with pytest.raises(ConfigError, match=said):
        parse_config(
            {"output": "out", "source": source, "select": {"eps": 0.02, "review": 0.05, **select}}
        )
