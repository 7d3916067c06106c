"""Commands for whoever operates the job: what is there, what changed, and housekeeping."""

from __future__ import annotations

import dataclasses

import click

from semdedup_spark.cli.options import job_options, opened_job, wait_option, working_job
from semdedup_spark.report.terminal import open_console, say_json

_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.command()
@job_options
@_JSON
def status(config: str, overrides: tuple[str, ...], run_id: str | None, as_json: bool) -> None:
    """What the ledger says: newest stages, last runs, who works on the output now."""
    from semdedup_spark.pipeline.operations.status import read_status
    from semdedup_spark.report.operations import print_status

    found = read_status(opened_job(config, overrides, run_id))
    if as_json:
        say_json(found.as_dict())
    else:
        print_status(open_console(), found)


@click.command()
@job_options
@click.option("--run", "runs", multiple=True, metavar="RUN_ID", help="Twice: before and after.")
@_JSON
def diff(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    runs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rows that one run kept and another removed, by reason: --run A --run B."""
    from semdedup_spark.pipeline.operations.diff import diff_runs
    from semdedup_spark.report.operations import print_changes

    if len(runs) != 2:
        raise click.UsageError(f"--run must be given twice. Got {len(runs)}.")
    changes = diff_runs(opened_job(config, overrides, run_id), *runs)
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
    help="Keep files that versions so young need.",
)
@click.option(
    "--ledger-days",
    type=click.IntRange(min=1),
    default=365,
    show_default=True,
    help="Forget rows of runs that are older, except the newest of each stage.",
)
def maintain(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    retain_hours: int,
    ledger_days: int,
) -> None:
    """OPTIMIZE and VACUUM the tables, and trim the ledger."""
    from semdedup_spark.pipeline.operations.maintain import maintain as tidy
    from semdedup_spark.report.operations import print_tidied

    with working_job(config, overrides, run_id, wait) as job:
        tidied = tidy(job, retain_hours=retain_hours, ledger_days=ledger_days)
    print_tidied(open_console(), tidied)


COMMANDS = (status, diff, maintain)
