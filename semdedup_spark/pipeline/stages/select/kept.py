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
from semdedup_spark.pipeline.stages.select.kept_changes import Kept, write_changes
from semdedup_spark.pipeline.stages.select.kept_clone import (
    CLONE,
    check_cloneable,
    check_version,
    clone_in,
    clone_kept,
    show_clone,
)
from semdedup_spark.pipeline.stages.select.kept_view import check_copied, show_kept
from semdedup_spark.tables.catalog import table_exists
from semdedup_spark.tables.commits.views import drop_view, is_view
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord


@dataclass(frozen=True)
class Written:
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


def prepare_kept(
    job: Job, embed: StageRecord, embeddings: DataFrame, own: Callable[[], DataFrame]
) -> None:
    """Find what the source lacks now, before anything is written.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    embeddings
        The table of the embeddings.
    own
        Returns the own columns of all embedded rows, or raises.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the kept rows cannot be had any more.
    """
    check_copied(job, embeddings)
    if job.config.select.write == "table":
        own()
    elif job.config.select.write == CLONE:
        check_version(job, embed)


def write_kept(job: Job, kept: Kept, mark: StageMark, assignment: int) -> Written:
    """Write the kept rows, clone them, or let a view show them, as ``select.write`` says. The view
    reads ``assignment`` as it is when it is asked. Of a table that is as the last selection left it
    only what differs is written.

    Parameters
    ----------
    job
        The job.
    kept
        The kept rows. They are not read where they are neither written nor shown.
    mark
        The mark of the commit.
    assignment
        Version of the table ``assignment``.

    Returns
    -------
    Written
        Where they are.
    """
    write, name = job.config.select.write, _name(job)
    if write == "view":
        show_kept(job, name, kept.embed)
        return Written()
    if write == CLONE:
        name, commit = clone_kept(job, kept.embed, name, assignment, mark)
        return Written({name: commit.version}, commit.rows)
    if is_view(job.spark, job.root, name):
        drop_view(job.spark, job.root, name)
    if write == "none":
        return Written()
    changed = write_changes(job, name, kept, mark)
    commit = changed or replace_table(kept.rows(job), job.root, name, mark)
    return Written({name: commit.version}, commit.rows)


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
