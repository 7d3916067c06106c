"""The kept rows of a selection: the table ``deduplicated``, a view of that name, or neither."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, ReconciliationError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import check_own_unchanged
from semdedup_spark.pipeline.stages.select.kept_view import show_kept
from semdedup_spark.tables.catalog import table_exists
from semdedup_spark.tables.commits.views import drop_view, is_view
from semdedup_spark.tables.commits.write import Commit, replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.select.threshold import kept_rows


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
    """
    write, name = job.config.select.write, _name(job)
    if write == "table":
        return
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


def write_kept(
    job: Job, embed: StageRecord, rows: Callable[[], DataFrame], mark: StageMark
) -> Commit | None:
    """Write the kept rows, or let a view show them, as ``select.write`` says. The view reads
    ``assignment`` as it is when it is asked.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    rows
        Returns the kept rows. It is not called where they are neither written nor shown.
    mark
        The mark of the commit.

    Returns
    -------
    Commit | None
        The commit of the table ``deduplicated``; ``None`` where there is none.
    """
    write, name = job.config.select.write, _name(job)
    if write == "view":
        show_kept(job, name, embed)
        return None
    if is_view(job.spark, job.root, name):
        drop_view(job.spark, job.root, name)
    if write == "none":
        return None
    kept = replace_table(rows(), job.root, name, mark)
    check_own_unchanged(job, embed)
    return kept


def keep_view(job: Job, embed: StageRecord) -> None:
    """Make the view of kept rows again, where somebody dropped it since. No row moves.

    Parameters
    ----------
    job
        The job, whose selection is as it was.
    embed
        Record of the stage embed.
    """
    if job.config.select.write == "view" and not is_view(job.spark, job.root, _name(job)):
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
