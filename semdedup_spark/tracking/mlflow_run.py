"""A run of a job as a run in MLflow: its settings, its counts and how it ended.

The client itself reads where the server is, and who may write there: ``MLFLOW_TRACKING_URI`` and
its other variables.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

from semdedup_spark import __version__
from semdedup_spark.masking import masked, masked_tree
from semdedup_spark.pipeline.identity import kept_settings
from semdedup_spark.pipeline.job_context import Job, Listener
from semdedup_spark.report.logs import both
from semdedup_spark.report.terminal import say
from semdedup_spark.tables.runs import StageRecord

# Left to itself the client tries for a quarter of an hour to reach a server that does not answer.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# Limits of MLflow: of a name, of a parameter's value, of parameters in one request.
_MOST_OF_NAME = 250
_MOST_OF_VALUE = 6000
_MOST_PARAMS = 100


@dataclass
class _Seen:
    """What is known of a run so far.

    Attributes
    ----------
    started
        When it was started, in ms since 1970.
    job
        The job, once it is open.
    records
        The ledger's rows of the stages that have ended.
    """

    started: int
    job: Job | None = None
    records: list[StageRecord] = field(default_factory=list)

    def watched(self, job: Job) -> Job:
        self.job = job
        hear = Listener(finished=self.records.append)
        return replace(job, listener=both(job.listener, hear))


@contextmanager
def tracked(experiment: str | None) -> Iterator[Callable[[Job], Job]]:
    """Log one run in MLflow when the ``with`` block ends, with or without an error.

    What is raised inside goes on unchanged. If MLflow does not take the run, a line on standard
    error says so, and nothing else happens. A block that opens no job logs nothing.

    Parameters
    ----------
    experiment
        Name of the experiment in MLflow; it is created where there is none. ``None``: nothing is
        logged.

    Yields
    ------
    Callable
        Gives a copy of the job that is to be run in its place: its stages are heard.

    Raises
    ------
    Exception
        What was raised inside.

    Notes
    -----
    ``ModuleNotFoundError`` at once, if the package ``mlflow`` is not installed.
    """
    if experiment is None:
        yield lambda job: job
        return
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  a package that is missing is an error before Spark starts

    seen = _Seen(_now())
    try:
        yield seen.watched
    except Exception as error:
        _log(experiment, seen, error)
        raise
    _log(experiment, seen, None)


def parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    """Prepare the settings of a job as parameters of a run.

    Parameters
    ----------
    settings
        Nested plain values or models.

    Returns
    -------
    dict[str, str]
        By names such as ``source.options.header``, without secrets. Values that are no text are
        JSON. What exceeds MLflow's limits is cut off.
    """
    shown = masked_tree(kept_settings(settings))
    return {
        _name(name): (value if isinstance(value, str) else json.dumps(value))[:_MOST_OF_VALUE]
        for name, value in _flat(shown)
    }


def metrics(records: Sequence[StageRecord]) -> dict[str, float]:
    """Collect the numbers of some stages.

    Parameters
    ----------
    records
        The stages' records in the ledger.

    Returns
    -------
    dict[str, float]
        Counts and metrics by names such as ``select.kept``, and of each stage ``seconds``, and
        ``reused``, 0 or 1. The stage of a named selection is ``select.NAME``.
    """
    found: dict[str, float] = {}
    for record in records:
        own = {"seconds": record.seconds, "reused": record.reused}
        for name, value in {**record.counts, **record.metrics, **own}.items():
            found[_name(f"{record.stage.replace(':', '.')}.{name}")] = float(value)
    return found


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _name(text: str) -> str:
    """A name of which every version of MLflow takes each character."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII)[:_MOST_OF_NAME]


def _log(experiment: str, seen: _Seen, error: Exception | None) -> None:
    if seen.job is None:
        return
    try:
        with _quiet():
            _write(experiment, seen.job, seen, error)
    except Exception as problem:  # of the network, of the server, of the client
        first = str(problem).strip().partition("\n")[0]
        why = f"{type(problem).__name__}: {first}"
        say(
            f"mlflow: the run {seen.job.run_id} is not, or not completely, in the experiment "
            f"{experiment!r} (MLFLOW_TRACKING_URI names the server): {why}",
            err=True,
        )


def _write(experiment: str, job: Job, seen: _Seen, error: Exception | None) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client, ended = MlflowClient(), _now()
    there = client.get_experiment_by_name(experiment)
    place = client.create_experiment(experiment) if there is None else there.experiment_id
    tags = {"semdedup.version": __version__, "semdedup.output": masked(job.root.location)}
    if error is not None:
        tags["semdedup.error"] = type(error).__name__
    run = client.create_run(place, start_time=seen.started, tags=tags, run_name=masked(job.run_id))
    found = [Metric(name, value, ended, 0) for name, value in metrics(seen.records).items()]
    params = [Param(*pair) for pair in parameters(job.config.model_dump()).items()]
    for first in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run.info.run_id, params=params[first : first + _MOST_PARAMS])
    client.log_batch(run.info.run_id, metrics=found)
    client.set_terminated(run.info.run_id, "FINISHED" if error is None else "FAILED", ended)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the client's line on standard output, which may be a summary's, and without a line
    for each attempt to reach a server.
    """
    attempts = logging.getLogger("urllib3.connectionpool")
    level = attempts.level
    attempts.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        attempts.setLevel(level)


def _now() -> int:
    return time.time_ns() // 1_000_000
