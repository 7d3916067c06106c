"""The kept rows of a selection: the table ``deduplicated``, a clone of the source, a view, or none
of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, ReconciliationError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import check_own_unchanged
from semdedup_spark.pipeline.stages.select.kept_clone import (
    CLONE,
    check_cloneable,
    check_version,
    clone_in,
    clone_kept,
    show_clone,
)
from semdedup_spark.pipeline.stages.select.kept_view import show_kept
from semdedup_spark.tables.catalog import table_exists
from semdedup_spark.tables.commits.views import drop_view, is_view
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.select.threshold import kept_rows


@dataclass(frozen=True)
class Kept:
    """The kept rows, where a run has written them.

    Attributes
    ----------
    outputs
        Version of their table, by its name. Empty where there is no such table.
    rows
        Number of rows in it; ``None`` where there is none.
    """

    outputs: Mapping[str, int] = field(default_factory=dict)
    rows: int | None = None


def check_kept(job: Job) -> None:
    """Check, before any work, that the kept rows can be written as ``select.write`` says.

    Parameters
    ----------
    job
        The job.

    Raises
    ------
    ConfigError
        There can be no view, or a table of an earlier selection is in the way.

    Notes
    -----
    What it calls raises ``SourceError`` where the source cannot be cloned.
    """
    write, name = job.config.select.write, _name(job)
    if write == "table":
        return
    if write == CLONE:
        check_cloneable(job)
    if write == "view" and not job.root.is_catalog:
        raise ConfigError(
            "select.write must be table or none where output is a path: only a catalog has views. "
            "Got view.",
            hint="name output as catalog.schema, or set select.write: none. The Python function "
            "read_selection gives the kept rows in any case.",
        )
    if table_exists(job.spark, job.root, name) and not is_view(job.spark, job.root, name):
        place = job.root.name(name)
        raise ConfigError(
            f"with select.write: {write} there must be no table {place}. It would stay as an "
            "earlier selection left it.",
            hint="move its readers to assignment, and remove the table; or let it be, and give "
            "this selection a name of its own (select.name).",
        )


def prepare_kept(job: Job, embed: StageRecord, own: Callable[[], DataFrame]) -> None:
    """Find what the source lacks now, before anything is written.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    own
        Returns the own columns of all embedded rows, or raises.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the kept rows cannot be had any more.
    """
    if job.config.select.write == "table":
        own()
    elif job.config.select.write == CLONE:
        check_version(job, embed)


def write_kept(
    job: Job, embed: StageRecord, rows: Callable[[], DataFrame], mark: StageMark, assignment: int
) -> Kept:
    """Write the kept rows, clone them, or let a view show them, as ``select.write`` says. The view
    reads ``assignment`` as it is when it is asked.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    rows
        Returns the kept rows. It is called where they are written.
    mark
        The mark of the commit.
    assignment
        Version of the table ``assignment``.

    Returns
    -------
    Kept
        Where they are.
    """
    write, name = job.config.select.write, _name(job)
    if write == "view":
        show_kept(job, name, embed)
        return Kept()
    if write == CLONE:
        name, commit = clone_kept(job, embed, name, assignment, mark)
        return Kept({name: commit.version}, commit.rows)
    if is_view(job.spark, job.root, name):
        drop_view(job.spark, job.root, name)
    if write == "none":
        return Kept()
    commit = replace_table(rows(), job.root, name, mark)
    check_own_unchanged(job, embed)
    return Kept({name: commit.version}, commit.rows)


def keep_view(job: Job, embed: StageRecord, select: StageRecord) -> None:
    """Make the view of kept rows again, where somebody dropped it since, or where a run that was
    killed let it show what no selection has. No row moves.

    Parameters
    ----------
    job
        The job, whose selection is as it was.
    embed
        Record of the stage embed.
    select
        Record of the selection.
    """
    clone = clone_in(select, job.config.select.name)
    if clone is not None:
        show_clone(job, _name(job), clone)
    elif job.config.select.write == "view" and not is_view(job.spark, job.root, _name(job)):
        show_kept(job, _name(job), embed)


def clean_rows(job: Job, embed: StageRecord, own: DataFrame, gone: DataFrame) -> DataFrame:
    """Make the rows of the table ``deduplicated``.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    own
        Columns id and source of all embedded rows.
    gone
        Column id: the removed rows.

    Returns
    -------
    DataFrame
        The kept rows, with the columns of the source.
    """
    kept = kept_rows(own, gone, with_id=not embed.counts["has_id"])
    return kept.drop(*filter(None, [job.config.source.unreadable]))


def reconciled(read: int, kept: int, removed: int, quarantined: int) -> dict[str, int]:
    """Check that no row was lost.

    Parameters
    ----------
    read
        Number of rows of the source.
    kept
        Number of rows that stay.
    removed
        Number of rows that were removed.
    quarantined
        Number of rows in quarantine.

    Returns
    -------
    dict[str, int]
        The four numbers by their names.

    Raises
    ------
    ReconciliationError
        The last three do not add up to the first.
    """
    if kept + removed + quarantined != read:
        raise ReconciliationError(
            f"kept + removed + quarantined must be the rows read. Got {kept} + {removed} + "
            f"{quarantined} for {read}.",
            hint="it is not known whether this passes. Let no other run write to the output, "
            "and run the command again; if the numbers stay so, report it.",
        )
    return {"read": read, "kept": kept, "removed": removed, "quarantined": quarantined}


def _name(job: Job) -> str:
    return s.of_selection(s.DEDUPLICATED, job.config.select.name)
