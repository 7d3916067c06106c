"""The kept rows as a view, over the copy of the source's columns in ``embeddings``."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.sql_text import variable_in
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.views import replace_view
from semdedup_spark.tables.runs import StageRecord


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


def check_copied(job: Job, embeddings: DataFrame) -> None:
    """Check, before any table is written, that a view has something to show.

    Parameters
    ----------
    job
        The job.
    embeddings
        The table of the embeddings.

    Raises
    ------
    ConfigError
        There is to be a view, and ``embeddings`` has no copy of the source's columns.
    """
    if job.config.select.write == "view" and s.SOURCE not in embeddings.columns:
        raise ConfigError(
            f"with select.write: view {job.root.name(s.EMBEDDINGS)} must have a copy of the "
            "source's columns, which the view shows. It has none.",
            hint="set embed.copy_source: true and run `semdedup run`: no row is encoded again. "
            "Or set select.write: none.",
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
    own = read_table(job.spark, job.root, s.EMBEDDINGS).select(f"{s.SOURCE}.*").columns
    names = [each for each in own if each != job.config.source.unreadable]
    check_shown(job, names)
    columns = [f"{s.SOURCE}.{s.quoted(each)}" for each in names]
    columns = columns if embed.counts["has_id"] else [s.ID, *columns]
    assignment = job.root.name(s.of_selection(s.ASSIGNMENT, job.config.select.name))
    replace_view(
        job.spark,
        job.root,
        name,
        f"SELECT {', '.join(columns)} FROM {job.root.name(s.EMBEDDINGS)} "
        f"WHERE {s.ID} IN (SELECT {s.ID} FROM {assignment} WHERE {s.KEPT})",
    )
