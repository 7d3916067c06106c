"""Commands that override a selection for single rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from semdedup_spark.cli.options import job_options, wait_option, working_job
from semdedup_spark.report.terminal import say


def _which_rows(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--withdraw", is_flag=True, help="Withdraw an earlier decision of this kind."),
        click.option("--reason", default="", help="Why. Stored with the decision."),
        click.option(
            "--group",
            "groups",
            multiple=True,
            metavar="ID",
            help="All rows that were removed for this survivor.",
        ),
        click.option("--id", "ids", multiple=True, metavar="ID", help="A row; may be repeated."),
        wait_option,
        job_options,
    ):
        command = option(command)
    return command


@click.command()
@_which_rows
def restore(**given: Any) -> None:
    """Always keep these rows, from the next select on. Decisions are stored in the table overrides.

    Parameters
    ----------
    **given
        Values of the options.
    """
    _override("keep", **given)


@click.command()
@_which_rows
def remove(**given: Any) -> None:
    """Always remove these rows, from the next select on. With --group, the survivor goes as well.

    Parameters
    ----------
    **given
        Values of the options.
    """
    _override("remove", **given)


def _override(
    action: str,
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    ids: tuple[str, ...],
    groups: tuple[str, ...],
    reason: str,
    *,
    withdraw: bool,
) -> None:
    if not ids and not groups:
        raise click.UsageError("say which rows: --id or --group.")
    if bool(reason.strip()) == withdraw:
        needed = "--withdraw takes no --reason." if withdraw else "say why: --reason TEXT."
        raise click.UsageError(needed)
    if withdraw and groups:
        raise click.UsageError("--withdraw goes with --id: a group changes with each selection.")
    from semdedup_spark.pipeline.operations.override import Rows, override_rows, withdraw_overrides

    with working_job(config, overrides, run_id, wait) as job:
        if withdraw:
            done, what = withdraw_overrides(job, ids, action), "withdrawn"
        else:
            done, what = override_rows(job, Rows(ids, groups), action, reason), "new or changed"
    say(f"overrides: {done.changed:,} {what}, {done.total:,} in all")
    if done.changed:
        say("next: semdedup select, for each selection that you use")


COMMANDS = (restore, remove)
