"""Status, differences and housekeeping, printed on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from semdedup_spark.pipeline.operations.diff import Change
from semdedup_spark.pipeline.operations.status import RunLine, Status
from semdedup_spark.report.console import counts_line
from semdedup_spark.report.terminal import cell, print_line
from semdedup_spark.tables.maintenance import Tidied
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import inline


def print_status(console: Console, status: Status) -> None:
    """Print the stages and runs of an output, and the run that is working on it.

    Parameters
    ----------
    console
        Where to print.
    status
        What to print.
    """
    print_line(console, f"output {inline(status.output)}")
    holder = status.holder
    if holder is None:
        console.print("no run is working on it")
    else:
        print_line(
            console,
            f"run {inline(holder.run_id)} is working on it: process {holder.holder.pid} on "
            f"{inline(holder.holder.host)}, last heard of {holder.heard:%Y-%m-%d %H:%M:%S} UTC",
        )
    if status.runs and status.runs[0].failed is not None:
        print_line(console, f"the newest run failed: {inline(status.runs[0].failed)}")
    if status.stages:
        console.print(_stages_table(status.stages))
    else:
        console.print("no stage has run here")
    if status.runs:
        console.print(_runs_table(status.runs))


def _stages_table(records: Sequence[StageRecord]) -> Table:
    stages = _table("stage", "run", "started (UTC)", "seconds", "counts")
    for record in records:
        reused = " (reused)" if record.reused else ""
        started = f"{record.started_at:%Y-%m-%d %H:%M:%S}"
        row = (
            record.stage + reused,
            record.run_id,
            started,
            f"{record.seconds:.1f}",
            counts_line(record),
        )
        stages.add_row(*map(cell, row))
    return stages


def _runs_table(lines: Sequence[RunLine]) -> Table:
    runs = _table("run", "started (UTC)", "seconds", "computed", "reused", "ended")
    for run in lines:
        started = f"{run.started_at:%Y-%m-%d %H:%M:%S}"
        names = " ".join(run.computed), " ".join(run.reused)
        ended = "" if run.failed is None else "failed"
        runs.add_row(*map(cell, (run.run_id, started, f"{run.seconds:.1f}", *names, ended)))
    return runs


def print_changes(console: Console, changes: Sequence[Change]) -> None:
    """Print one line for each kind of change.

    Parameters
    ----------
    console
        Where to print.
    changes
        What to print.
    """
    if not changes:
        console.print("every row has the same fate in both runs")
        return
    table = _table("before", "after", "why", "rows", "for example")
    for change in changes:
        row = (change.before, change.after, change.why, f"{change.n_rows:,}")
        table.add_row(*map(cell, (*row, ", ".join(map(inline, change.sample)))))
    console.print(table)


def print_tidied(console: Console, tidied: Sequence[Tidied]) -> None:
    """Print one line for each table.

    Parameters
    ----------
    console
        Where to print.
    tidied
        What to print.
    """
    table = _table("table", "files before", "files after", "MiB", "left out")
    for each in tidied:
        row = (each.table, str(each.files_before), str(each.files_after))
        size = f"{each.bytes_now / 2**20:.1f}"
        table.add_row(*map(cell, (*row, size, "; ".join(each.spared))))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
