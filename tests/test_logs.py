"""Log lines are JSON, one an event; what Spark failed with is one line; its settings are read."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkException

from semdedup_spark.failures import explained
from semdedup_spark.pipeline import Progress
from semdedup_spark.report.console import counts_line
from semdedup_spark.report.logs import LOGGER, log_failure, log_to, logging_listener
from semdedup_spark.session import spark_defaults
from semdedup_spark.tables.runs import StageRecord

DONE = StageRecord(
    run_id="nightly",
    stage="embed",
    started_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    seconds=1.25,
    reused=False,
    why="it has not run here before",
    config="{}",
    config_hash="",
    result_key="",
    counts={"read": 3},
    outputs={"embeddings": 4},
)


@pytest.fixture
def lines(tmp_path):
    """Reads what was logged to a file so far."""
    log_to(tmp_path / "log.jsonl")
    yield lambda: [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    LOGGER.handlers.pop().close()
    LOGGER.setLevel(logging.NOTSET)


def test_each_event_of_a_run_is_a_line_of_json(lines):
    listener = logging_listener("nightly")
    listener.started("embed", "its input source changed")
    listener.progress(Progress("embed", 2, 3, 0.5, rejected=1))
    listener.finished(DONE)
    try:
        raise ValueError("of two\nlines")
    except ValueError as error:
        log_failure("nightly", error)
    logging.getLogger("semdedup_spark.pipeline.leasing").warning("of another module")
    started, progress, finished, failed, other = lines()
    assert all(set(line) >= {"ts", "level", "msg", "context", "logger"} for line in lines())
    assert all(datetime.fromisoformat(line["ts"]).tzinfo for line in lines())
    assert started["context"] == {
        "run_id": "nightly",
        "event": "stage started",
        "stage": "embed",
        "why": "its input source changed",
    }
    assert (progress["context"]["rows"], progress["context"]["rejected"]) == (2, 1)
    assert finished["context"]["counts"] == {"read": 3}
    assert finished["context"]["outputs"] == {"embeddings": 4}
    assert (failed["level"], failed["context"]["event"]) == ("ERROR", "run failed")
    assert failed["exception"].endswith("ValueError: of two\nlines")
    assert (other["logger"], other["level"]) == ("semdedup_spark.pipeline.leasing", "WARNING")


def test_counts_are_told_in_one_order_whatever_the_ledgers():
    counts = {"uncovered": 1, "removed": 2, "other": 9, "has_id": 1, "kept": 3000, "read": 3002}
    told = "read 3,002, kept 3,000, removed 2, uncovered 1, other 9"
    assert counts_line(replace(DONE, counts=counts)) == told


def test_where_nobody_listens_a_failure_is_not_logged(capfd):
    log_failure("nightly", ValueError("told by the command line already"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "cause", "hint"),
    [
        (
            "Job aborted.\n\tat org.x.Y(Z.scala:1)\nCaused by: java.io.IOException: No space left "
            "on device\n\tat java.base/x",
            "No space left on device",
            "make room",
        ),
        (
            "[FAILED_READ_FILE.FILE_NOT_EXIST] file:/lake/a.parquet does not exist.",
            "[FAILED_READ_FILE.FILE_NOT_EXIST] file:/lake/a.parquet does not exist.",
            "removes or replaces",
        ),
        (
            "Job aborted due to stage failure.\nCaused by: org.apache.spark.SparkException: Python "
            "worker exited unexpectedly (crashed)",
            "Python worker exited unexpectedly (crashed)",
            "was killed",
        ),
    ],
)
def test_of_what_spark_says_the_cause_is_told_in_a_line_and_the_way_out(text, cause, hint):
    failure = explained(PySparkException(text))
    assert failure.cause == cause
    assert hint in failure.hint
    assert "the same command goes on" in failure.hint
    assert failure.retryable


def test_an_unknown_failure_of_spark_is_told_by_its_innermost_cause():
    text = "Lost task\nCaused by: a.b.OuterException: one\nCaused by: c.InnerError: two\n\tat d"
    failure = explained(PySparkException(text))
    assert (failure.cause, failure.retryable) == ("InnerError: two", False)
    lost = explained(Py4JNetworkError("Answer from Java side is empty"))
    assert "was killed" in lost.hint
    assert explained(ConnectionRefusedError(111, "Connection refused")).retryable
    assert explained(ValueError("No space left on device")) is None


def test_the_settings_of_spark_are_read_as_spark_reads_them(tmp_path, monkeypatch):
    text = "# a comment\n\nspark.a   1 2\nspark.b=x=y\nspark.c : -Dk=v\n  spark.d\n"
    (tmp_path / "spark-defaults.conf").write_text(text)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert spark_defaults() == {
        "spark.a": "1 2",
        "spark.b": "x=y",
        "spark.c": "-Dk=v",
        "spark.d": "",
    }
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "none"))
    assert spark_defaults() == {}
    monkeypatch.delenv("SPARK_CONF_DIR")
    assert spark_defaults() == {}
