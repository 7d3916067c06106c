"""Two sources: what the reference has goes from the source, and nothing else."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from semdedup_spark.errors import SourceError, StageOrderError
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import open_job, run_select
from semdedup_spark.pipeline.operations.diff import diff_runs
from semdedup_spark.pipeline.operations.override import Rows, override_rows, withdraw_overrides
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.queries.report_data import run_overview
from semdedup_spark.pipeline.queries.selections import edge_removals, find_selection
from semdedup_spark.pipeline.queries.tune import run_tune
from semdedup_spark.pipeline.stages.embed import opened_side
from semdedup_spark.report.html import render_report
from tests.jobs.jobfiles import near_duplicates, rows_of, run, table, vectors_job, write_vectors

EPS = 0.05
D = 6


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    """Ids collide: the test's are among the train's. Train rows 0 to 29 are near copies of test
    rows, 30 to 39 exact ones, of which 39 and 38 show the same; rows 40 to 60 copy each other.
    """
    root = tmp_path_factory.mktemp("reference")
    test = near_duplicates(60, D, seed=1)
    rng = np.random.default_rng(2)
    train = rng.standard_normal((150, D))
    train[:30] = test[:30] + 0.05 * rng.standard_normal((30, D))
    train[30:40] = test[30:40]
    train[39] = train[38]
    train[40:60] = train[40]
    write_vectors(spark, root / "train", train)
    write_test(spark, root, test)
    config = against(root, recall="exact")
    return root, train, test, config, run(spark, config)


def against(root, output="out", **score):
    config = vectors_job(
        root / output, root / "train", score={"eps_max": 0.2, **score}, select={"eps": EPS}
    )
    reference = config.source.model_copy(update={"path": str(root / "test")})
    return config.model_copy(update={"reference": reference})


def exam_id(i):
    """Of the i-th test row: the same as the train row's that copies it for 0, 15 and 30."""
    return f"row-{11 * i % 150:05d}"


def write_test(spark, root, test):
    ids = [exam_id(i) for i in range(len(test))]
    write_vectors(spark, root / "test", test, ids=ids, note="exam")


def check(spark, config, train, test):
    A, B = (unit_rows(X.astype(np.float32)).X.astype(np.float64) for X in (train, test))
    products = np.minimum(A @ B.T, 1.0)
    M = products.max(axis=1)
    assert not np.any(np.abs(M - (1 - EPS)) < 1e-5)
    removed = np.flatnonzero(M > 1 - EPS)
    assert 20 < len(removed) < len(train)
    found = {r["id"]: r for r in table(spark, config.output, "duplicates").collect()}
    assert sorted(found) == [f"row-{i:05d}" for i in removed]
    place = {exam_id(i): i for i in range(len(test))}
    for i in removed:
        row = found[f"row-{i:05d}"]
        assert abs(row["similarity"] - M[i]) < 2e-6
        assert row["survivor_id"] == row["neighbor_id"]
        assert abs(products[i, place[row["neighbor_id"]]] - M[i]) < 2e-6
    kept = [row[0] for row in rows_of(spark, config.output, "deduplicated", "doc")]
    assert sorted([*kept, *found]) == [f"row-{i:05d}" for i in range(len(train))]


def test_what_the_reference_has_is_removed_whatever_the_ids_and_copies_within_stay(
    spark, done, monkeypatch
):
    _, train, test, config, summary = done
    check(spark, config, train, test)
    assert (summary.read, summary.kept + summary.removed) == (150, 150)
    assert summary.records[4].counts["read"] == 60
    kept = {row[0] for row in rows_of(spark, config.output, "deduplicated", "doc")}
    assert {f"row-{i:05d}" for i in range(40, 60)} <= kept
    opened, seen = opened_side.open_source, []
    monkeypatch.setattr(
        opened_side, "open_source", lambda *given: seen.append(given[1].path) or opened(*given)
    )
    assert all(record.reused for record in run(spark, config).records)
    assert seen == [config.source.path, config.reference.path]  # each once


def test_a_removed_row_is_shown_beside_its_row_of_the_reference(spark, done):
    *_, config, _ = done
    job = open_job(spark, config)
    told = run_explain(job, "row-00033")
    i = [exam_id(i) for i in range(60)].index(told.survivor_id)
    assert told.chain_complete
    assert [(link.id, link.neighbor_id) for link in told.chain] == [("row-00033", exam_id(i))]
    assert "note: note 33" in told.contents["row-00033"].splitlines()
    assert f"note: exam {i}" in told.reference_contents[exam_id(i)].splitlines()
    edges = edge_removals(job, find_selection(job), n=5)
    for each in edges:
        assert "note: note " in each.text
        assert "note: exam " in each.survivor_text
    shown = run_overview(job)
    members = [row for group in shown.largest for row in group.members]
    assert all("exam " in str(group.survivor.columns) for group in shown.largest)
    assert all("note " in str(row.columns) for row in members)
    assert not any(row.text for row in members)  # columns are no text
    assert all("exam " in str(columns) for columns in shown.survivor_columns.values())
    assert ">reference</span>" in render_report(shown)


@pytest.fixture(scope="module")
def odd(spark, done):
    """Folder with a reference that has more columns, and with an empty one."""
    root = done[0]
    rows = table(spark, root, "test").selectExpr("*", "array(1d, 2d) AS w", "int(1) AS nr")
    rows.write.format("delta").save(str(root / "odd"))
    rows.limit(0).write.format("delta").save(str(root / "empty"))
    return root


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "none"}, r"reference\.path must be readable"),
        ({"content": "vector"}, r"reference\.content must name a column of the reference"),
        ({"content": "note"}, r"reference\.content must be array<float>"),
        ({"id": "nr"}, "ids of source and reference must be of one type"),
        ({"content": "w"}, "reference must have 6 numbers, as those of the source have. Got 2"),
        ({"path": "empty"}, "the reference must have at least one row"),
    ],
)
def test_a_bad_reference_is_refused_before_any_work(spark, odd, done, tmp_path, changes, words):
    config = done[3]
    where = {"path": str(odd / changes.get("path", "odd"))}
    reference = config.reference.model_copy(update={**changes, **where})
    bad = config.model_copy(update={"output": str(tmp_path / "out"), "reference": reference})
    with pytest.raises(SourceError, match=words):
        run(spark, bad)
    assert not (tmp_path / "out").exists()


def test_what_has_a_duplicate_is_what_the_reference_has(spark, done):
    *_, config, _ = done
    tuning = run_tune(open_job(spark, config), eps_grid=[EPS])
    assert tuning.in_groups_exact
    (at,) = tuning.thresholds
    assert at.in_groups == pytest.approx(at.removed / tuning.rows)


def test_scores_against_a_reference_are_not_taken_for_scores_of_a_source_alone(spark, done):
    *_, config, _ = done
    alone = config.model_copy(update={"reference": None})
    with pytest.raises(StageOrderError, match=r"without a reference.* made with a reference"):
        run_select(open_job(spark, alone))
    other = config.reference.model_copy(update={"options": {"readChangeFeed": "false"}})
    with pytest.raises(StageOrderError, match="reference must be made with this configuration"):
        run_select(open_job(spark, config.model_copy(update={"reference": other})))


def namesake(spark, config):
    """(id of a kept row that is also one of the reference's, the rows which that stands for)."""
    kept = {row["doc"] for row in table(spark, config.output, "deduplicated").collect()}
    groups = {}
    for row in table(spark, config.output, "duplicates").collect():
        groups.setdefault(row["survivor_id"], set()).add(row["id"])
    name = min(kept & set(groups))
    return name, groups[name]


def test_a_kept_row_absorbs_nothing_that_a_row_of_the_reference_with_its_id_removes(spark, done):
    *_, config, _ = done
    name, _ = namesake(spark, config)
    told = run_explain(open_job(spark, config), name)
    assert (told.fate, told.n_absorbed, told.absorbed) == ("kept", 0, [])


@pytest.mark.long
def test_decisions_about_a_row_leave_the_row_of_the_reference_with_its_id_alone(spark, done):
    *_, config, _ = done
    job = open_job(spark, config)
    name, group = namesake(spark, config)
    override_rows(job, Rows(groups=[name]), "remove", "the whole group")
    assert {r["id"] for r in table(spark, config.output, "overrides").collect()} == group
    withdraw_overrides(job, sorted(group), "remove")
    override_rows(job, Rows(ids=[name]), "remove", "this one")
    run_select(open_job(spark, config))
    found = {r["id"]: r for r in table(spark, config.output, "duplicates").collect()}
    assert (found[name]["reason"], found[name]["survivor_id"]) == ("override", None)
    assert {r["id"] for r in found.values() if r["survivor_id"] == name} == group
    withdraw_overrides(job, [name], "remove")
    run_select(open_job(spark, config))


@pytest.mark.long
def test_new_rows_of_the_source_cost_themselves_and_a_new_reference_costs_all(spark, done):
    root, train, test, config, _ = done
    shutil.copytree(root / "out", root / "nights")
    config = against(root, "nights", recall="exact")
    more = np.concatenate([train[5:], test[50:] + 0.01])  # ids move: most rows are changed ones
    write_vectors(spark, root / "train", more)
    summary = run(spark, config)
    check(spark, config, more, test)
    spark.sql(f"DELETE FROM delta.`{root}/train` WHERE doc = 'row-{len(more) - 1:05d}'")
    more = more[:-1]
    summary = run(spark, config)  # without a row that is new
    assert summary.records[2].counts["gone"] == 1
    check(spark, config, more, test)
    write_test(spark, root, test[:40])
    before = summary.records[0].run_id
    summary = run(spark, config)
    assert "reference" in summary.records[2].why
    changes = diff_runs(open_job(spark, config), before, summary.records[0].run_id)
    assert {(c.before, c.after, c.why) for c in changes} == {("removed", "kept", "neighbor_gone")}
    check(spark, config, more, test[:40])
    write_vectors(spark, root / "train", train)
    write_test(spark, root, test)
