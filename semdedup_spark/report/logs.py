"""A job's events as records of the logger ``semdedup_spark``, and these as lines of JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from semdedup_spark.errors import SemDedupError
from semdedup_spark.failures import explained
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.job_context import Listener, Progress
from semdedup_spark.report.console import counts_line, progress_line
from semdedup_spark.report.terminal import as_json
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import shown, shown_tree

LOGGER = logging.getLogger("semdedup_spark")


class JsonLines(logging.Formatter):
    """Formatter that writes a record as one line of JSON.

    The keys are those of Spark's own structured log: ``ts`` (UTC), ``level``, ``msg``, ``context``,
    ``logger``, and ``exception`` if the record has one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record.

        Parameters
        ----------
        record
            The record. Its attribute ``context``, if there is one, becomes the key ``context``.

        Returns
        -------
        str
            The line, without a line end.
        """
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "msg": record.getMessage(),
            "context": getattr(record, "context", {}),
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return as_json(line, indent=None, default=lambda value: masked(str(value)))


def log_to(path: Path) -> None:
    """Append the logger's records to a file, as lines of JSON.

    Parameters
    ----------
    path
        The file. It is created if it does not exist.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)


def logging_listener(run_id: str) -> Listener:
    """Make a listener that logs the start, progress and end of each stage.

    Parameters
    ----------
    run_id
        Id of the run. It is part of each record's ``context``.

    Returns
    -------
    Listener
        The listener.
    """

    def started(stage: str, why: str) -> None:
        _info(f"{stage}: computing, because {why}", run_id, "stage started", stage, why=why)

    def progress(at: Progress) -> None:
        so_far = {"rows": at.rows, "total": at.total, "seconds": round(at.seconds, 3)}
        _info(progress_line(at), run_id, "progress", at.stage, rejected=at.rejected, **so_far)

    def finished(record: StageRecord) -> None:
        how = f"reused, {record.why}" if record.reused else f"done ({counts_line(record)})"
        _info(
            f"{record.stage}: {how}",
            run_id,
            "stage finished",
            record.stage,
            seconds=round(record.seconds, 3),
            reused=record.reused,
            why=record.why,
            counts=record.counts,
            metrics=record.metrics,
            outputs=record.outputs,
        )

    def noticed(text: str) -> None:
        _info(text, run_id, "notice", text.partition(":")[0])

    def failed(error: Exception) -> None:
        log_failure(run_id, error)

    return Listener(
        progress=progress, started=started, finished=finished, noticed=noticed, failed=failed
    )


def both(one: Listener, other: Listener) -> Listener:
    """Make a listener that passes each event to two listeners.

    Parameters
    ----------
    one
        The listener that hears each event first.
    other
        The listener that hears it second.

    Returns
    -------
    Listener
        The listener.
    """

    def each(name: str) -> Callable[..., None]:
        hear, hear_too = getattr(one, name), getattr(other, name)

        def heard(*event: object) -> None:
            hear(*event)
            hear_too(*event)

        return heard

    return Listener(**{field.name: each(field.name) for field in fields(Listener)})


def log_failure(run_id: str, error: Exception) -> None:
    """Log that an error ended a run. Without handlers on the logger, nothing happens.

    Parameters
    ----------
    run_id
        Id of the run.
    error
        The error. The record says whether the run may be repeated.
    """
    if LOGGER.handlers:
        known = error if isinstance(error, SemDedupError) else explained(error)
        retryable = known is not None and known.retryable
        context = {"run_id": run_id, "event": "run failed", "retryable": retryable}
        told = shown(error)
        LOGGER.error("run failed: %s", told, exc_info=error, extra={"context": context})


def _info(message: str, run_id: str, event: str, stage: str, **found: Any) -> None:
    context = {"run_id": run_id, "event": event, "stage": stage, **found}
    LOGGER.info("%s", shown(message), extra={"context": shown_tree(context)})
