"""Log lines are JSON, one an event; what Spark failed with is one line; its settings are read."""

from __future__ import annotations

import errno
import json
import logging
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkException

from semdedup_spark import errors
from semdedup_spark.causes import Kind
from semdedup_spark.errors import PermanentError, TransientError, UnknownError
from semdedup_spark.failures import explained
from semdedup_spark.pipeline import Progress
from semdedup_spark.report.console import counts_line
from semdedup_spark.report.logs import LOGGER, log_failure, log_to, logging_listener
from semdedup_spark.session.spark_session import spark_defaults
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
    logging.getLogger("semdedup_spark.pipeline.output_lease").warning("of another module")
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
    assert (other["logger"], other["level"]) == (
        "semdedup_spark.pipeline.output_lease",
        "WARNING",
    )


def test_counts_are_told_in_one_order_whatever_the_ledgers():
    counts = {
        "uncovered": 1,
        "removed": 2,
        "other": 9,
        "has_id": 1,
        "unique_ids": 1,
        "kept": 3000,
        "read": 3002,
    }
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


IN_WORKER = (
    "\n  An exception was thrown from the Python worker. Please see the stack trace below.\n"
    'Traceback (most recent call last):\n  File "x.py", line 1, in f\n'
)


@pytest.mark.parametrize(
    ("text", "kind", "cause"),
    [
        # A condition decides, whatever the data that it quotes look like.
        (
            "[CAST_INVALID_INPUT] The value 'Connection refused' cannot be cast. SQLSTATE: 22018",
            Kind.REQUEST,
            "[CAST_INVALID_INPUT]",
        ),
        ("[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012", Kind.REQUEST, "[DIVIDE_BY_ZERO]"),
        ("[TABLE_OR_VIEW_NOT_FOUND] a SQLSTATE: 42P01", Kind.REQUEST, "[TABLE_OR_VIEW_NOT_FOUND]"),
        (
            "[DELTA_FEATURES_PROTOCOL_METADATA_MISMATCH] timestampNtz SQLSTATE: KD004",
            Kind.PLATFORM,
            "[DELTA_FEATURES",
        ),
        ("[DELTA_CONCURRENT_APPEND.X] Files were added", Kind.CONFLICT, "[DELTA_CONCURRENT_APPEND"),
        ("[DELTA_VERSIONS_NOT_CONTIGUOUS] 1 to 3 SQLSTATE: KD00C", Kind.VERSION, "[DELTA_VERSIONS"),
        (
            "[FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER] Could not read a SQLSTATE: KD001",
            Kind.DAMAGED,
            "[FAILED_READ_FILE",
        ),
        ("[INTERNAL_ERROR] a bug SQLSTATE: XX000", Kind.UNKNOWN, "[INTERNAL_ERROR] a bug"),
        # Then the classes of exceptions, the innermost first.
        ("Lost\nCaused by: java.net.SocketTimeoutException: Read", Kind.NETWORK, "Read"),
        ("Lost\nCaused by: java.nio.file.AccessDeniedException: s3a://b", Kind.ACCESS, "s3a://b"),
        ("Lost\nCaused by: java.lang.OutOfMemoryError: Java heap space", Kind.MEMORY, "Java heap"),
        ("Lost\nCaused by: java.lang.NoClassDefFoundError: a/b/C", Kind.PLATFORM, "a/b/C"),
        (
            "Lost\nCaused by: java.io.FileNotFoundException: /out/a (Permission denied)",
            Kind.ACCESS,
            "/out/a (Permission denied)",
        ),
        (f"{IN_WORKER}ValueError: bad shape\n", Kind.PROGRAM, "ValueError: bad shape"),
        (f"{IN_WORKER}ModuleNotFoundError: No module named 'x'\n", Kind.WORKERS, "ModuleNot"),
        (f"{IN_WORKER}ImportError: libx.so: cannot open\n", Kind.WORKERS, "ImportError: libx"),
        # Of an error of ours in a worker its own type and hint.
        (
            f"{IN_WORKER}semdedup_spark.errors.SourceChangedError: it changed.\n  Hint: wait.\n",
            Kind.PASSING,
            "it changed.",
        ),
        (
            f"{IN_WORKER}semdedup_spark.errors.EnvironmentProblem: torch must be there.\n",
            Kind.LASTING,
            "torch must be there.",
        ),
        ("An error occurred\n: org.x.SparkException: boo password=a1b2", Kind.UNKNOWN, "Spark"),
    ],
)
def test_what_passes_is_told_from_what_stays_by_condition_and_class(text, kind, cause):
    failure = explained(PySparkException(text))
    assert failure.kind is kind
    assert failure.cause.startswith(cause)
    assert "a1b2" not in str(failure)
    types = {True: TransientError, False: PermanentError, None: UnknownError}
    assert isinstance(failure, types[kind.passes])
    assert failure.retryable is (kind.passes is True)
    assert ("goes on" in failure.hint) <= failure.retryable


def test_every_kind_of_failure_says_what_to_do_and_only_passing_ones_that_the_command_goes_on():
    for kind in Kind:
        assert kind.way_out
        assert ("goes on" in kind.way_out) is (kind.passes is True)
    assert "not known" in Kind.UNKNOWN.way_out


def test_failures_of_the_machine_are_told_by_their_number():
    assert explained(OSError(errno.ENOSPC, "No space left on device")).retryable
    assert explained(PermissionError(errno.EACCES, "Permission denied")).kind is Kind.ACCESS
    assert explained(MemoryError()).kind is Kind.MEMORY
    assert explained(FileNotFoundError(errno.ENOENT, "gone")) is None
    assert explained(explained(MemoryError())).kind is Kind.MEMORY


def test_errors_on_purpose_are_transient_or_permanent():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.SemDedupError):
            assert kind is errors.SemDedupError or issubclass(
                kind, TransientError | PermanentError | UnknownError
            )
            assert kind.retryable is issubclass(kind, TransientError)


def test_a_log_of_a_failure_says_whether_it_passes(lines):
    log_failure("nightly", PySparkException("[DIVIDE_BY_ZERO] SQLSTATE: 22012"))
    log_failure("nightly", errors.OutputBusyError("busy"))
    log_failure("nightly", ValueError("password=a1b2"))
    assert [line["context"]["retryable"] for line in lines()] == [False, True, False]
    assert "a1b2" not in json.dumps(lines())


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


def test_a_lost_server_of_spark_connect_passes():
    class Lost(Exception):
        __module__ = "grpc._channel"

    text = "<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n>"
    assert explained(Lost(text)).kind is Kind.NETWORK
