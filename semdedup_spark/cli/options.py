"""What the commands of a job share: their options, and the job that these open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config``, ``--set`` and ``--run-id``."""
    named = click.option("--run-id", help="Name of this run in the ledger; by default the time.")
    return reading_options(named(command))


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config`` and ``--set``: for commands that write no table, and so are no run."""
    for option in (
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY.PATH=VALUE",
            help="Override one key of the job file; may be repeated.",
        ),
        click.option("--config", required=True, metavar="JOB.YML", help="The job file."),
    ):
        command = option(command)
    return command


def opened_job(config: str, overrides: tuple[str, ...], run_id: str | None, **allowed: Any) -> Job:
    """A job on a new session, or the configuration's error before one is started."""
    from semdedup_spark.config import load_config

    loaded = load_config(config, overrides)  # before a session costs seconds

    from semdedup_spark.pipeline import open_job
    from semdedup_spark.report.console import console_listener
    from semdedup_spark.report.logs import both, logging_listener
    from semdedup_spark.session import open_session

    job = open_job(open_session(), loaded, run_id=run_id)
    listener = both(console_listener(), logging_listener(job.run_id))
    return replace(job, listener=listener, **allowed)


@contextmanager
def working_job(
    config: str, overrides: tuple[str, ...], run_id: str | None, wait: float, **allowed: Any
) -> Iterator[Job]:
    """As :func:`opened_job`, with the output to itself from when work begins; at the end the ledger
    is complete. What the source is refused for leaves no trace of a lease.
    """
    job = opened_job(config, overrides, run_id, **allowed)

    from semdedup_spark.pipeline.exclusive import working

    with working(job, wait_seconds=wait):
        yield job


def wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--wait``, of the commands that write."""
    return click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="Wait so long for another run on the same output; by default refuse at once.",
    )(command)


def replacing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--replace`` and ``--allow-empty``, of the commands that embed."""
    for option in (
        click.option(
            "--allow-empty",
            is_flag=True,
            help="Let a source without usable rows leave all tables empty.",
        ),
        click.option(
            "--replace",
            is_flag=True,
            help="Let the rows of another source replace all that the output holds.",
        ),
    ):
        command = option(command)
    return command
