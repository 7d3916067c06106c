"""What an operator asks: who works here, what ran, what changed, and is it tidy."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from semdedup_spark import open_job
from semdedup_spark.cli import cli
from semdedup_spark.errors import OutputBusyError, StageOrderError
from semdedup_spark.pipeline import held_output, preview_job, run_job, run_select
from semdedup_spark.pipeline.job_context import Listener
from semdedup_spark.pipeline.operations.diff import diff_runs
from semdedup_spark.pipeline.operations.maintain import maintain
from semdedup_spark.pipeline.operations.status import read_status, summary_dict
from semdedup_spark.schema.measures import COUNTS, METRICS
from semdedup_spark.tables.leases import Lease
from tests.jobs.jobfiles import near_duplicates, rows_of, table, vectors_job, write_vectors


def with_eps(config, eps):
    return config.model_copy(update={"select": config.select.model_copy(update={"eps": eps})})


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    """(job, summary): runs `wide` at eps 0.05 and `narrow` at a smaller one, of one output."""
    base = tmp_path_factory.mktemp("operations")
    write_vectors(spark, base / "source", near_duplicates(200))
    config = with_eps(vectors_job(base / "out", base / "source"), 0.05)
    wide = open_job(spark, config, run_id="wide")
    summary = run_job(wide)
    run_job(open_job(spark, with_eps(config, 0.001), run_id="narrow"))
    return wide, summary


def test_the_status_lists_stages_and_runs(spark, done):
    status = read_status(open_job(spark, done[0].config)).as_dict()
    assert [stage["stage"] for stage in status["stages"]] == ["embed", "cluster", "score", "select"]
    assert [run["run_id"] for run in status["runs"]] == ["narrow", "wide"]
    assert status["runs"][0]["computed"] == ["select"]
    assert status["runs"][0]["reused"] == ["embed", "cluster", "score"]
    assert status["working"] is None
    json.dumps(status)


def test_of_an_output_without_runs_the_status_says_so(spark, done, tmp_path):
    config = done[0].config.model_copy(update={"output": str(tmp_path / "none")})
    status = read_status(open_job(spark, config))
    assert (status.stages, status.runs, status.holder) == ((), (), None)
    assert not (tmp_path / "none").exists()


def test_a_summary_holds_the_books_of_a_run(done):
    job, summary = done
    found = json.loads(json.dumps(summary_dict(job, summary)))
    assert found["ok"] is True
    assert found["kept"] + found["removed"] + found["quarantined"] == found["read"] == 200
    assert [stage["stage"] for stage in found["stages"]] == ["embed", "cluster", "score", "select"]


def test_whatever_a_stage_counts_or_measures_is_explained_in_the_reference(done):
    found = summary_dict(*done)["stages"]
    counts = {name for stage in found for name in stage["counts"]}
    metrics = {name for stage in found for name in stage["metrics"]}
    assert counts - COUNTS.keys() == set()
    named = {re.sub(r"_1e\d$", "_1eN", re.sub(r"_\d\d$", "_NN", name)) for name in metrics}
    assert named - METRICS.keys() == set()


def test_rows_that_come_back_at_a_smaller_eps_are_the_difference_of_two_runs(spark, done):
    job = done[0]
    changes = diff_runs(job, "wide", "narrow")
    counts = {row["run_id"]: row["counts"]["removed"] for row in selections(spark, job).collect()}
    [change] = changes
    assert (change.before, change.after, change.why) == ("removed", "kept", "threshold")
    assert change.n_rows == counts["wide"] - counts["narrow"] > 0
    wide = {r["id"] for r in versioned(spark, job, "wide").collect()}
    narrow = {r["id"] for r in versioned(spark, job, "narrow").collect()}
    assert set(change.sample) <= {str(id_) for id_ in wide - narrow}
    [back] = diff_runs(job, "narrow", "wide")
    assert (back.before, back.after, back.n_rows) == ("kept", "removed", change.n_rows)
    assert diff_runs(job, "wide", "wide") == []
    with pytest.raises(StageOrderError, match=r"'other'.*newest that have: narrow, wide"):
        diff_runs(job, "wide", "other")


def selections(spark, job):
    return table(spark, job.root.location, "runs").filter("stage = 'select'")


def versioned(spark, job, run_id):
    [row] = selections(spark, job).filter(f"run_id = '{run_id}'").collect()
    path = f"{job.root.location}/duplicates"
    version = row["outputs"]["duplicates"]
    return spark.read.format("delta").option("versionAsOf", version).load(path)


@pytest.mark.long
def test_rows_that_come_and_go_say_why_their_fate_changed(spark, tmp_path):
    X = near_duplicates(60)
    ids = [f"row-{i:02d}" for i in range(60)]
    write_vectors(spark, tmp_path / "source", X[:40], ids=ids[:40])
    config = with_eps(vectors_job(tmp_path / "out", tmp_path / "source"), 0.05)
    run_job(open_job(spark, config, run_id="monday"))
    write_vectors(spark, tmp_path / "source", X[10:], ids=ids[10:])
    run_job(open_job(spark, config, run_id="tuesday"))
    changes = diff_runs(open_job(spark, config), "monday", "tuesday")
    of = {}
    for change in changes:
        of[change.before, change.after] = of.get((change.before, change.after), 0) + change.n_rows
    assert sum(n for (before, _), n in of.items() if before == "absent") == 20
    assert {c.why for c in changes if c.before == "absent"} == {"new_row"}
    assert sum(n for (_, after), n in of.items() if after == "absent") == 10
    assert {c.why for c in changes if c.after == "absent"} == {"gone_from_source"}


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(spark, done):
    job = done[0]
    files = sorted(p for p in open_files(job))
    heard = []
    listener = Listener(started=lambda *told: heard.append(told))
    dry = open_job(spark, with_eps(job.config, 0.02), dry_run=True, listener=listener)
    records = preview_job(dry)
    assert heard == []  # nobody is told that a stage is computed
    assert [r.reused for r in records] == [True, True, True, False]
    assert "select.eps" in records[3].why or "eps" in records[3].why
    assert sorted(p for p in open_files(job)) == files
    fresh = job.config.model_copy(update={"output": job.root.location + "-fresh"})
    assert [r.reused for r in preview_job(open_job(spark, fresh, dry_run=True))] == [False] * 4
    assert list(open_files(open_job(spark, fresh))) == []


def open_files(job):
    from pathlib import Path

    return (p for p in Path(job.root.location).rglob("*") if p.is_file())


def test_two_runs_at_once_do_not_meet_and_the_second_names_the_first(spark, done):
    first = replace(done[0], run_id="first")
    second = replace(done[0], run_id="second")
    with held_output(first):
        assert read_status(second).holder.run_id == "first"
        named = r"Run 'first' does: process \d+ on .*"
        with pytest.raises(OutputBusyError, match=named) as caught, held_output(second):
            raise AssertionError("must not get here")
        assert caught.value.retryable
        assert "--wait" in str(caught.value)
    with held_output(second):
        assert read_status(first).holder.run_id == "second"


def test_a_run_waits_for_another_one_if_it_is_told_to(spark, done):
    first, second = replace(done[0], run_id="slow"), replace(done[0], run_id="patient")
    lease = Lease(spark, first.root, "slow", seconds=600)
    assert lease.claim() is None
    timer = threading.Timer(1.0, lease.release)
    timer.start()
    with held_output(second, wait_seconds=60):
        assert read_status(first).holder.run_id == "patient"
    timer.join()


def test_a_run_tried_again_under_its_name_goes_on(spark, done):
    job = replace(done[0], run_id="nightly")
    crashed = Lease(spark, job.root, "nightly", seconds=600)
    assert crashed.claim() is None
    with held_output(job):
        pass
    crashed.release()


def test_a_lease_is_released_when_the_run_fails(spark, done):
    with pytest.raises(KeyError), held_output(replace(done[0], run_id="fails")):
        raise KeyError
    assert read_status(done[0]).holder is None


def test_maintenance_keeps_rows_and_what_may_be_reused(spark, done):
    job = done[0]
    before = {t: rows_of(spark, job.root.location, t) for t in ("scores", "deduplicated")}
    tidy = open_job(spark, job.config, run_id="tidy")
    longer = "('delta.deletedFileRetentionDuration' = 'interval 30 days')"  # than a week
    spark.sql(f"ALTER TABLE delta.`{job.root.path('scores')}` SET TBLPROPERTIES {longer}")
    for name in ("scores", "duplicates"):
        make_older(job, name, days=40 if name == "scores" else 9)
    with held_output(tidy):
        tidied = {each.table: each for each in maintain(tidy, ledger_days=1)}
    assert {"embeddings", "scores", "runs", "leases"} <= tidied.keys()
    assert all(each.files_after <= max(each.files_before, 1) for each in tidied.values())
    for name, each in tidied.items():
        done_here = [row["operation"] for row in history_of(spark, job, name)]
        assert ("VACUUM END" in done_here) == (name in ("scores", "duplicates")), name
        assert ("OPTIMIZE" in done_here) == (each.files_before > 1)
        assert ("nothing to compact" in "; ".join(each.spared)) == (each.files_before <= 1)
    assert before == {t: rows_of(spark, job.root.location, t) for t in before}
    again = run_select(open_job(spark, with_eps(job.config, 0.001), run_id="after"))
    assert again.reused


def make_older(job, name, *, days):
    """Let the first commit of a table be so many days old: its time is that of its file."""
    log = Path(job.root.path(name), "_delta_log", f"{0:020d}.json")
    moment = time.time() - days * 86_400
    os.utime(log, (moment, moment))


def history_of(spark, job, name):
    return spark.sql(f"DESCRIBE HISTORY delta.`{job.root.path(name)}`").collect()


def test_the_ledger_forgets_old_runs_but_not_a_stages_newest(spark, done, tmp_path):
    from semdedup_spark.tables.catalog import OutputRoot
    from semdedup_spark.tables.maintenance import trim_rows

    rows = table(spark, done[0].root.location, "runs")
    old = rows.selectExpr("*").withColumn("started_at", rows.started_at - _days(spark, 400))
    old.write.format("delta").save(str(tmp_path / "out" / "runs"))
    trim_rows(spark, OutputRoot.parse(str(tmp_path / "out")), "runs", older_than_days=365)
    left = table(spark, tmp_path / "out", "runs").collect()
    stages = [row["stage"] for row in left]
    assert sorted(stages) == sorted(set(stages)) != []
    newest = {
        r["stage"]: r["max"]
        for r in old.groupBy("stage")
        .agg({"started_at": "max"})
        .withColumnRenamed("max(started_at)", "max")
        .collect()
    }
    assert {row["stage"]: row["started_at"] for row in left} == newest


def _days(spark, n):
    from pyspark.sql import functions as F

    return F.expr(f"INTERVAL {n} DAYS")


def test_diff_wants_two_runs_and_maintain_keeps_a_week(tmp_path):
    bad = CliRunner().invoke(cli, ["diff", "--config", "job.yml", "--run", "a"])
    assert bad.exit_code == 2
    assert "--run must be given twice. Got 1." in bad.output
    short = CliRunner().invoke(cli, ["maintain", "--config", "job.yml", "--retain-hours", "1"])
    assert short.exit_code == 2


@pytest.mark.long
def test_readers_get_both_tables_of_one_selection_while_another_is_written(
    spark, tmp_path, monkeypatch
):
    from semdedup_spark import read_selection
    from semdedup_spark.tables.runs import Ledger

    write_vectors(spark, tmp_path / "source", near_duplicates(60))
    config = with_eps(vectors_job(tmp_path / "out", tmp_path / "source"), 0.05)
    with pytest.raises(StageOrderError, match="a selection must have been made"):
        read_selection(spark, str(tmp_path / "out"))
    run_job(open_job(spark, config, run_id="whole"))
    whole = {row["id"] for row in table(spark, tmp_path / "out", "duplicates").collect()}

    def die(self, record):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "add", die)
    with pytest.raises(KeyboardInterrupt):
        run_select(open_job(spark, with_eps(config, 0.0001), run_id="half"))
    now = {row["id"] for row in table(spark, tmp_path / "out", "duplicates").collect()}
    assert now < whole  # the table has moved on
    seen = read_selection(spark, str(tmp_path / "out"))
    assert seen.run_id == "whole"
    assert {row["id"] for row in seen.duplicates.collect()} == whole
    assert seen.deduplicated.count() == 60 - len(whole)


WRITING = {
    **{name: [] for name in ("run", "embed", "cluster", "score", "select", "recluster")},
    "forget": ["--id", "row-00001"],
    "restore": ["--id", "row-00001", "--reason", "mine"],
    "remove": ["--id", "row-00001", "--withdraw"],
    "maintain": [],
}


def test_every_command_that_writes_is_refused_while_another_run_works_here(done, tmp_path):
    job = done[0]
    file = tmp_path / "job.yml"
    file.write_text(yaml.safe_dump(job.config.model_dump(mode="json", exclude_defaults=True)))
    commands = {name: [name, "--config", str(file), *more] for name, more in WRITING.items()}
    commands["prune"] = ["prune", "--config", str(file)]
    with held_output(replace(job, run_id="busy")):
        before = table(job.spark, job.root.location, "runs").count()
        for command in commands.values():
            refused = CliRunner().invoke(cli, command).exception
            assert isinstance(refused, OutputBusyError), (command, refused)
            assert "Run 'busy' does" in str(refused)
        assert table(job.spark, job.root.location, "runs").count() == before
