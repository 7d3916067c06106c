"""The kept rows as a view: over the copy in ``embeddings``, or over a Delta source itself."""

from __future__ import annotations

from collections.abc import Sequence

from semdedup_spark import schema as s
from semdedup_spark.config import CONTENT_HASH, SourceConfig
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.paths import absolute
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.sql_text import variable_in
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits import replace_view
from semdedup_spark.tables.runs import StageRecord

_DELTA = "delta:"


def check_shown(job: Job, columns: Sequence[str]) -> None:
    """Check, before any work, that a view can name the columns of the source.

    Parameters
    ----------
    job
        The job.
    columns
        Their names.

    Raises
    ------
    SourceError
        Spark would replace a variable in a name.
    """
    odd = [name for name in columns if variable_in(name)]
    if job.config.select.write == "view" and odd:
        raise SourceError(
            f"with select.write: view no column may have {variable_in(odd[0])} in its name: Spark "
            "puts a setting or a variable of the environment there.",
            hint="name the columns that are wanted in source.columns, or set select.write: table.",
        )


def check_can_show(job: Job, opened: SourceRows) -> None:
    """Check, before any work, that a view has rows to show.

    Parameters
    ----------
    job
        The job.
    opened
        The source.

    Raises
    ------
    ConfigError
        Nothing copies the rows, and SQL cannot tell them in the source.
    """
    copies = job.config.embed.copy_source or s.EMBEDDINGS in job.frames
    if job.config.select.write != "view" or copies:
        return
    plain = opened.fingerprint.startswith(_DELTA) and opened.unique_ids
    if not plain or job.config.source.id in (None, CONTENT_HASH):
        raise ConfigError(
            "with select.write: view the source must be a Delta table with a column of unique "
            "ids, which the view shows without the removed rows; or embeddings must have a copy.",
            hint="set embed.copy_source: true, or select.write: table or none.",
        )


def show_kept(job: Job, name: str, embed: StageRecord) -> None:
    """Make the view of kept rows.

    Parameters
    ----------
    job
        The job.
    name
        Name of the view.
    embed
        Record of the stage embed.
    """
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS)
    if s.SOURCE in embeddings.columns:
        shown = _of_copy(job, embeddings.select(f"{s.SOURCE}.*").columns, embed)
    else:
        shown = _of_source(job, embed)
    assignment = job.root.name(s.of_selection(s.ASSIGNMENT, job.config.select.name))
    kept = f"(SELECT {s.ID} FROM {assignment} WHERE {s.KEPT})"
    replace_view(job.spark, job.root, name, f"{shown} IN {kept}")


def _of_copy(job: Job, own: Sequence[str], embed: StageRecord) -> str:
    names = [name for name in own if name != job.config.source.unreadable]
    check_shown(job, names)
    columns = [f"{s.SOURCE}.{s.quoted(name)}" for name in names]
    columns = columns if embed.counts["has_id"] else [s.ID, *columns]
    return f"SELECT {', '.join(columns)} FROM {job.root.name(s.EMBEDDINGS)} WHERE {s.ID}"


def _of_source(job: Job, embed: StageRecord) -> str:
    source, fingerprint = job.config.source, embed.inputs["source"]
    if not fingerprint.startswith(_DELTA):
        raise ConfigError(
            "a view of kept rows needs a Delta source, or a copy in embeddings. It has neither.",
            hint="set embed.copy_source: true and run `semdedup run`.",
        )
    place = _name(source)
    version = fingerprint.rpartition("@")[2]
    names = source.columns or job.spark.table(place).columns
    check_shown(job, names)
    columns = ", ".join(map(s.quoted, names))
    return (
        f"SELECT {columns} FROM {place} VERSION AS OF {version} WHERE {s.quoted(source.id or '')}"
    )


def _name(source: SourceConfig) -> str:
    return source.table or f"delta.{s.quoted(absolute(source.path or ''))}"
