"""The kept rows as a clone of a Delta source: no row is copied."""

from __future__ import annotations

from typing import NoReturn

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError, StageOrderError
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.own_columns import refuse_gone
from semdedup_spark.pipeline.rows_as_embedded import note_whole, was_read_whole
from semdedup_spark.sources.formats.delta_table import DeltaSource, delta_source
from semdedup_spark.sources.open_raw import read_raw
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import table_exists
from semdedup_spark.tables.commits.clones import (
    COLUMN_MAPPING,
    Chosen,
    Original,
    clone_chosen,
    empty_clone,
)
from semdedup_spark.tables.commits.views import drop_view, is_view, replace_view
from semdedup_spark.tables.commits.write import Commit
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord

CLONE = "clone"
_DELTA = "delta:"
_ICEBERG = "delta.enableIcebergCompat"
_HINT = "set select.write: table, which copies the kept rows."


def check_cloneable(job: Job) -> None:
    """Check, before any work, that the source is a table that can be cloned.

    Parameters
    ----------
    job
        The job.

    Raises
    ------
    ConfigError
        The source is a DataFrame.
    SourceError
        The table can have no deletion vectors, or it is no Delta table.
    """
    if s.EMBEDDINGS in job.frames:
        raise ConfigError(
            "with select.write: clone the source must be a Delta table. Got a DataFrame.",
            hint=f"write it as a Delta table and name that one in source.table, or {_HINT}",
        )
    source = _delta_source(job)
    odd = [
        name
        for name, value in source.properties.items()
        if name.startswith(_ICEBERG) and value.lower() == "true"
    ]
    if odd:
        raise SourceError(
            "with select.write: clone the source must be able to have deletion vectors, by which "
            f"the clone leaves rows out. It is not: {odd[0]} is true.",
            hint=_HINT,
        )


def check_clone_rows(job: Job, rows: SourceRows) -> None:
    """Check, before a source is embedded, that ids tell its rows apart.

    Parameters
    ----------
    job
        The job.
    rows
        The source as it was opened.

    Notes
    -----
    What it calls raises ``SourceError`` where rows share an id.
    """
    if job.config.select.write == CLONE and not rows.unique_ids:
        _refuse_shared_ids(job)


def check_version(job: Job, embed: StageRecord) -> None:
    """Check, before anything is written, that the version that was embedded can be cloned.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.

    Raises
    ------
    Exception
        Whatever Spark raises while it reads the ids.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the source is another table now or files of the
    version are gone, and ``SourceError`` where rows share an id.
    """
    if not embed.counts.get("unique_ids", 1):
        _refuse_shared_ids(job)
    fingerprint = embed.inputs["source"]
    if was_read_whole(job, fingerprint):
        return
    source = job.config.source.model_copy(update={"version": _version(embed)})
    try:
        raw = read_raw(job.spark, source)
        if raw.fingerprint() == fingerprint:
            # The hash has all ids read, and so all files.
            ids = F.max(F.xxhash64(F.col(s.quoted(source.id or ""))))
            raw.df.agg(ids).collect()
            note_whole(job, fingerprint)
            return
    except SourceError as error:
        _refuse_other_source(error.problem, error)
    except Exception as error:  # Spark raises many kinds
        refuse_gone(error)
        raise
    _refuse_other_source("It is another table now.")


def check_clones(job: Job, embed: StageRecord) -> None:
    """Check, before rows are erased, that the clones among the selections can be made again.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the version that was embedded is gone.
    """
    is_table = embed.inputs["source"].startswith(_DELTA) and embed.counts.get("unique_ids", 1)
    made = (clone for clone, is_newest in _clones(job) if is_newest)
    if is_table and any(table_exists(job.spark, job.root, clone) for clone in made):
        check_version(job, embed)


def empty_idle_clones(job: Job) -> None:
    """Take all rows out of the clones that no selection has any more. No file is written but in
    their logs. They would show rows that were erased since.

    Parameters
    ----------
    job
        The job.
    """
    for clone, is_newest in _clones(job):
        if not is_newest and table_exists(job.spark, job.root, clone):
            empty_clone(job.spark, job.root, clone)


def _clones(job: Job) -> list[tuple[str, bool]]:
    """Names of the clones that there may be, and whether the newest selection of a name has it."""
    made = job.ledger.selections()
    return [(clone, clone in r.outputs) for name, r in made for clone in s.clones_of(name)]


def clone_kept(
    job: Job, embed: StageRecord, view: str, assignment: int, mark: StageMark
) -> tuple[str, Commit]:
    """Make a clone beside the one that the selection before has, and let the view show it.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    view
        Name of the view of the kept rows, in a catalog.
    assignment
        Version of the table ``assignment`` of the selection.
    mark
        The mark of the clone.

    Returns
    -------
    tuple[str, Commit]
        Name of the clone, and the commit that was made.

    Raises
    ------
    Exception
        Whatever Spark raises. ``StageOrderError`` where files of the version are gone.
    """
    source, name = _delta_source(job), job.config.select.name
    mapping = source.properties.get(COLUMN_MAPPING, "none")
    original = Original(source.name, _version(embed), job.config.source.id or "", mapping)
    chosen = Chosen(s.of_selection(s.ASSIGNMENT, name), assignment)
    before = clone_in(job.ledger.last(s.selection_stage(name)), name)
    if before is not None and table_exists(job.spark, job.root, before):
        show_clone(job, view, before)  # a run that was killed may have let it show the other one
    elif is_view(job.spark, job.root, view):
        drop_view(job.spark, job.root, view)
    first, second = s.clones_of(name)
    clone = second if before == first else first
    try:
        commit = clone_chosen(job.spark, job.root, clone, original, chosen, mark)
    except Exception as error:  # Spark raises many kinds
        refuse_gone(error)
        raise
    show_clone(job, view, clone)
    return clone, commit


def show_clone(job: Job, view: str, clone: str) -> None:
    """Let the view of the kept rows show a clone. An output that is a path has no view.

    Parameters
    ----------
    job
        The job.
    view
        Name of the view.
    clone
        Name of the clone.
    """
    if job.root.is_catalog:
        replace_view(job.spark, job.root, view, f"SELECT * FROM {job.root.name(clone)}")


def clone_in(record: StageRecord | None, name: str | None) -> str | None:
    """Find the clone of a selection.

    Parameters
    ----------
    record
        Record of the selection.
    name
        Name of the selection.

    Returns
    -------
    str | None
        Name of the table; ``None`` where the kept rows are no clone.
    """
    outputs = {} if record is None else record.outputs
    return next((clone for clone in s.clones_of(name) if clone in outputs), None)


def _delta_source(job: Job) -> DeltaSource:
    found = delta_source(job.spark, job.config.source)
    if found is None:
        source = job.config.source
        raise SourceError(
            "with select.write: clone the source must be a Delta table: only its versions can be "
            f"cloned. Got {masked(source.table or source.path or '')!r}.",
            hint=f"a view on a Delta table is none; name the table itself, or {_HINT}",
        )
    return found


def _version(embed: StageRecord) -> int:
    fingerprint = embed.inputs["source"]
    if not fingerprint.startswith(_DELTA):
        _refuse_other_source("It was embedded from something else.")
    return int(fingerprint.rpartition("@")[2])


def _refuse_other_source(why: str, error: Exception | None = None) -> NoReturn:
    raise StageOrderError(
        f"the source must be the Delta table that was embedded, at that version. {why}",
        hint="run `semdedup run`: it embeds what is new or changed, and clones what is there.",
    ) from error


def _refuse_shared_ids(job: Job) -> NoReturn:
    raise SourceError(
        "with select.write: clone each row of the source must have an id of its own, by which the "
        f"others are left out. Several rows share one in {job.config.source.id!r}.",
        hint=f"name another column in source.id, or {_HINT}",
    )
