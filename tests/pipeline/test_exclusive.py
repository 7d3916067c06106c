"""Whoever calls a function that writes holds the lease while it runs, and leaves a whole ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semdedup_spark import open_job, run_job
from semdedup_spark.errors import (
    GuardError,
    HorizonError,
    OutputBusyError,
    SourceError,
    StageOrderError,
)
from semdedup_spark.pipeline import Listener, held_output, preview_job, run_embed, run_select
from semdedup_spark.pipeline.operations.status import read_status
from tests.jobs.jobfiles import near_duplicates, table, vectors_job, write_vectors


@pytest.fixture(scope="module")
def config(spark, tmp_path_factory):
    """Of an output in which run ``first`` has ended."""
    base = tmp_path_factory.mktemp("exclusive")
    write_vectors(spark, base / "source", near_duplicates(60))
    config = vectors_job(base / "out", base / "source", select={"eps": 0.05})
    run_job(open_job(spark, config, run_id="first"))
    return config


def events(spark, config, run_id):
    rows = table(spark, config.output, "leases").filter(f"run_id = '{run_id}'")
    return [row["event"] for row in rows.orderBy("happened_at").collect()]


def stages(spark, config, run_id):
    rows = table(spark, config.output, "runs").filter(f"run_id = '{run_id}'")
    return [row["stage"] for row in rows.orderBy("started_at").collect()]


@pytest.mark.parametrize("second", ["another", "inside"])
def test_of_two_library_callers_at_once_the_second_is_refused(spark, config, second):
    refused = []

    def meanwhile(record):
        with pytest.raises(OutputBusyError, match="Run 'inside' does") as caught:
            run_select(open_job(spark, config, run_id=second))
        refused.append((record.stage, caught.value.retryable))

    run_job(open_job(spark, config, run_id="inside", listener=Listener(finished=meanwhile)))
    assert refused == [(stage, True) for stage in ("embed", "cluster", "score", "select")]
    assert read_status(open_job(spark, config)).holder is None


def test_a_stage_run_alone_leaves_a_whole_ledger_and_no_lease(spark, config):
    assert run_select(open_job(spark, config, run_id="alone")).reused
    assert stages(spark, config, "alone") == ["select"]
    assert events(spark, config, "alone") == ["claimed", "released"]


def test_calls_in_one_block_share_its_lease_and_each_leaves_a_whole_ledger(spark, config):
    job = open_job(spark, config, run_id="block")
    with held_output(job):
        run_embed(job)
        assert stages(spark, config, "block") == ["embed"]
        run_select(replace(job, config=config))
        assert stages(spark, config, "block") == ["embed", "select"]
    assert events(spark, config, "block") == ["claimed", "released"]


def test_a_job_used_again_sees_what_another_run_wrote_in_between(spark, config):
    job = open_job(spark, config, run_id="twice")
    assert run_select(job).reused
    other = config.model_copy(update={"select": config.select.model_copy(update={"eps": 0.01})})
    assert not run_select(open_job(spark, other, run_id="between")).reused
    record = run_select(job)
    assert (record.reused, record.why) == (False, "eps 0.01 -> 0.05")


def test_a_failure_is_told_once_and_leaves_no_lease(spark, config):
    told = []

    def fail(record):
        raise KeyError(record.stage)

    listener = Listener(finished=fail, failed=told.append)
    with pytest.raises(KeyError, match="embed"):
        run_job(open_job(spark, config, run_id="fails", listener=listener))
    assert [str(error) for error in told] == ["'embed'"]
    assert events(spark, config, "fails") == ["claimed", "released"]
    status = read_status(open_job(spark, config))
    assert status.runs[0].failed == "KeyError (unknown)"
    assert "failed" not in [record.stage for record in status.stages]


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        # Its message quotes values of the column.
        (
            {"max_removed_fraction_by": {"note": 0.0}},
            GuardError,
            "GuardError: select.max_removed_fraction_by",
        ),
        ({"eps": None, "keep": 0.001}, HorizonError, "HorizonError: select.keep"),
    ],
)
def test_a_run_whose_selection_is_refused_is_a_failed_run_until_it_is_tried_again(
    spark, config, asked, error, told
):
    select = config.select.model_copy(update=asked)
    with pytest.raises(error):
        run_job(open_job(spark, config.model_copy(update={"select": select}), run_id="tried"))
    run = read_status(open_job(spark, config)).runs[0]
    assert (run.run_id, run.failed) == ("tried", told)
    run_job(open_job(spark, config, run_id="tried"))
    assert read_status(open_job(spark, config)).runs[0].failed is None


def test_a_wrong_command_is_no_failed_run(spark, config):
    other = config.model_copy(update={"score": config.score.model_copy(update={"eps_max": 0.4})})
    with pytest.raises(StageOrderError):
        run_select(open_job(spark, other, run_id="wrong"))
    assert stages(spark, config, "wrong") == []


def test_a_source_that_is_refused_leaves_no_trace_of_a_lease(spark, config, tmp_path):
    source = config.source.model_copy(update={"path": str(tmp_path / "none")})
    update = {"source": source, "output": str(tmp_path / "out")}
    with pytest.raises(SourceError):
        run_job(open_job(spark, config.model_copy(update=update)))
    assert not (tmp_path / "out").exists()


def test_a_preview_writes_nothing_whatever_job_it_is_given(spark, config, tmp_path):
    fresh = config.model_copy(update={"output": str(tmp_path / "out")})
    assert not any(record.reused for record in preview_job(open_job(spark, fresh)))
    assert not (tmp_path / "out").exists()
