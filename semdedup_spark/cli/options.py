"""Options that the commands of a job share, and opening the job that they describe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job

# With these PySpark prints Java's stack for each error, before the command can say what is wrong.
_CONTEXT_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config``, ``--set`` and ``--run-id`` to a command.

    Parameters
    ----------
    command
        Function of the command.

    Returns
    -------
    Callable
        The same command with these options.
    """
    named = click.option("--run-id", help="Name of this run in the ledger.  [default: the time]")
    return reading_options(named(command))


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config`` and ``--set``, for commands that write no table and so are not a run.

    Parameters
    ----------
    command
        Function of the command.

    Returns
    -------
    Callable
        The same command with these options.
    """
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
    """Open a job on a new session. The configuration is checked before the session starts.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    **allowed
        Fields of the job that the command line sets, such as ``replace`` and ``allow_empty``.

    Returns
    -------
    Job
        Job that reports to the console and to the log.
    """
    from semdedup_spark.config import load_config

    loaded = load_config(config, overrides)  # before a session costs seconds

    from semdedup_spark.pipeline import open_job
    from semdedup_spark.report.console import console_listener, show_wait
    from semdedup_spark.report.logs import both, logging_listener
    from semdedup_spark.session.little_data import MOST_BYTES, MOST_TEXT_BYTES, is_little
    from semdedup_spark.session.spark_session import open_session

    for name in _CONTEXT_LOGGERS:
        logging.getLogger(name).disabled = True
    show_wait("starting Spark")
    sources = [side for side in (loaded.source, loaded.reference) if side is not None]
    most = MOST_TEXT_BYTES if loaded.source.kind == "text" else MOST_BYTES
    session = open_session(little_data=is_little((side.path for side in sources), most))
    job = open_job(session, loaded, run_id=run_id)
    listener = both(console_listener(), logging_listener(job.run_id))
    return replace(job, listener=listener, **allowed)


@contextmanager
def working_job(
    config: str, overrides: tuple[str, ...], run_id: str | None, wait: float, **allowed: Any
) -> Iterator[Job]:
    """As :func:`opened_job`, with exclusive use of the output once work begins.

    At the end the ledger is complete. A source that is refused leaves no trace of a lease. Errors
    of the work are logged.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run on the same output.
    **allowed
        Fields of the job that the command line sets.

    Yields
    ------
    Job
        Job that takes the lease when its first stage begins.
    """
    job = opened_job(config, overrides, run_id, **allowed)

    from semdedup_spark.pipeline.exclusive import working

    with working(job, wait_seconds=wait):
        yield job


def wait_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--wait``, for commands that write.

    Parameters
    ----------
    command
        Function of the command.

    Returns
    -------
    Callable
        The same command with this option.
    """
    return click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="Wait up to this long for another run on the same output. By default, refuse at once.",
    )(command)


def replacing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--replace`` and ``--allow-empty``, for commands that embed.

    Parameters
    ----------
    command
        Function of the command.

    Returns
    -------
    Callable
        The same command with these options.
    """
    for option in (
        click.option(
            "--allow-empty",
            is_flag=True,
            help="Allow a source without usable rows to empty all tables.",
        ),
        click.option(
            "--replace",
            is_flag=True,
            help="Allow another source to replace all rows that the output holds.",
        ),
    ):
        command = option(command)
    return command
