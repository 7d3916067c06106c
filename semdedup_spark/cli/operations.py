"""Commands for the operator of a job: status, differences between runs, housekeeping."""

from __future__ import annotations

import dataclasses

import click

from semdedup_spark.cli.options import (
    job_options,
    opened_job,
    reading_options,
    wait_option,
)
from semdedup_spark.report.terminal import open_console, say_json

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


@click.command()
@reading_options
@_JSON
def status(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the ledger: the newest result of each stage, recent runs, and the run at work now.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    as_json
        Print JSON instead of tables.
    """
    from semdedup_spark.pipeline.operations.status import read_status
    from semdedup_spark.report.operations import print_status

    found = read_status(opened_job(config, overrides, None))
    if as_json:
        say_json(found.as_dict())
    else:
        print_status(open_console(), found)


@click.command()
@reading_options
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN_ID",
    help="A run to compare. Give it twice: the earlier run, then the later one.",
)
@_JSON
def diff(config: str, overrides: tuple[str, ...], runs: tuple[str, ...], as_json: bool) -> None:
    """Count rows whose fate differs between two runs, by reason: --run A --run B.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    runs
        Ids of two runs: the earlier, then the later.
    as_json
        Print JSON instead of a table.

    Raises
    ------
    click.UsageError
        If not exactly two runs are given.
    """
    from semdedup_spark.pipeline.operations.diff import diff_runs
    from semdedup_spark.report.operations import print_changes

    if len(runs) != 2:
        raise click.UsageError(f"--run must be given twice. Got {len(runs)}.")
    changes = diff_runs(opened_job(config, overrides, None), *runs)
    if as_json:
        say_json([dataclasses.asdict(change) for change in changes])
    else:
        print_changes(open_console(), changes)


@click.command()
@job_options
@wait_option
@click.option(
    "--retain-hours",
    type=click.IntRange(min=168),
    default=168,
    show_default=True,
    help="Hours. Files that table versions younger than this need are kept.",
)
@click.option(
    "--ledger-days",
    type=click.IntRange(min=1),
    default=365,
    show_default=True,
    help="Days. Older ledger rows are deleted, except the newest row of each stage.",
)
def maintain(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    retain_hours: int,
    ledger_days: int,
) -> None:
    """Run OPTIMIZE and VACUUM on the tables that need them, and trim the ledger.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run. ``None``: the time.
    wait
        Seconds to wait for another run.
    retain_hours
        Hours. Files that younger table versions need are kept.
    ledger_days
        Days. Older ledger rows are deleted, except the newest of each stage.
    """
    from semdedup_spark.session.java import java_without_output

    with java_without_output():  # VACUUM prints a line for each table
        opened = opened_job(config, overrides, run_id)

    from semdedup_spark.pipeline.exclusive import working
    from semdedup_spark.pipeline.operations.maintain import maintain as tidy
    from semdedup_spark.report.operations import print_tidied

    with working(opened, wait_seconds=wait) as job:
        tidied = tidy(job, retain_hours=retain_hours, ledger_days=ledger_days)
    print_tidied(open_console(), tidied)


COMMANDS = (status, diff, maintain)
