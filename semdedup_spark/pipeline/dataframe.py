"""Deduplicate a DataFrame of Spark: the job, with the DataFrame in place of its source."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.config import parse_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline.job import JobSummary, run_job
from semdedup_spark.pipeline.job_context import Job, open_job
from semdedup_spark.pipeline.queries.read_selection import read_selection
from semdedup_spark.pipeline.stages.select import run_select
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.embed.joined_content import joined_content

# What the ledger calls a source that has no place of its own.
_FRAME = "dataframe"
_JOINED = "__semdedup_content"


@dataclass(frozen=True)
class DeduplicatedFrame:
    """The result of :func:`semdedup_spark.deduplicate` for a DataFrame of Spark.

    Attributes
    ----------
    job
        The job that made it, for the functions of ``semdedup_spark.pipeline``. Its tables lie in
        ``job.config.output``.
    summary
        Counts of the run.
    """

    job: Job
    summary: JobSummary

    def __len__(self) -> int:
        return self.summary.kept

    def __repr__(self) -> str:
        read, kept, removed = self.summary.read, self.summary.kept, self.summary.removed
        return (
            f"DeduplicatedFrame(read={read}, kept={kept}, removed={removed}, "
            f"quarantined={self.summary.quarantined}, eps={self.summary.eps:g}, "
            f"output={self.job.config.output!r})"
        )

    @property
    def kept(self) -> DataFrame:
        """The rows that stay, with the columns that came in: the table ``deduplicated``."""
        return read_selection(self.job.spark, self.job.config.output).deduplicated

    @property
    def removed(self) -> DataFrame:
        """The rows that go, each with the row that stands for it: the table ``duplicates``."""
        return read_selection(self.job.spark, self.job.config.output).duplicates

    @property
    def quarantined(self) -> DataFrame:
        """The rows that could not be embedded, with the reason: the table ``quarantine``."""
        return self._table(s.QUARANTINE)

    @property
    def assignment(self) -> DataFrame:
        """All rows that were read, and what became of each: the table of this name."""
        return read_selection(self.job.spark, self.job.config.output).assignment

    def at(self, eps: float) -> DeduplicatedFrame:
        """Select at another threshold. Nothing is embedded or compared again; the tables
        ``deduplicated`` and ``duplicates`` of the output are those of this threshold then.

        Parameters
        ----------
        eps
            The threshold, above 0 and at most ``eps_max``.

        Returns
        -------
        DeduplicatedFrame
            The same rows at this threshold.
        """
        return self._selected({"eps": eps})

    def keep(self, share: float) -> DeduplicatedFrame:
        """Select so that at least a share of the rows stays; see ``select.keep``.

        Parameters
        ----------
        share
            Share of the rows to keep, above 0 and at most 1.

        Returns
        -------
        DeduplicatedFrame
            The same rows at that threshold.
        """
        return self._selected({"eps": None, "keep": share})

    def _selected(self, select: dict[str, Any]) -> DeduplicatedFrame:
        tree = self.job.config.model_dump(exclude={"select"}) | {"select": select}
        job = open_job(
            self.job.spark,
            parse_config(tree),
            listener=self.job.listener,
            frames=self.job.frames,
        )
        record = run_select(job)
        counts = record.counts
        summary = JobSummary(
            counts["read"],
            counts["kept"],
            counts["removed"],
            counts["quarantined"],
            record.metrics["eps"],
            (record,),
        )
        return DeduplicatedFrame(job, summary)

    def _table(self, name: str) -> DataFrame:
        return read_table(self.job.spark, self.job.root, name)


def deduplicate_dataframe(
    df: DataFrame,
    *,
    content: str | Sequence[str] | None,
    template: str | None,
    vector: str | None,
    id: str | None,  # noqa: A002
    encoder: str,
    model: str | None,
    eps: float,
    eps_max: float,
    rank_by: str | None,
    reference: DataFrame | None,
    output: str | None,
) -> DeduplicatedFrame:
    """Run the job on a DataFrame. See :func:`semdedup_spark.deduplicate`.

    Parameters
    ----------
    df
        The rows. It is evaluated several times, so it must give the same rows each time.
    content
        The column of the texts, or several that are joined.
    template
        How several columns are joined.
    vector
        The column of ready-made vectors, in place of ``content``.
    id
        The column of the ids.
    encoder
        Name of the encoder.
    model
        Its model; ``None``: the encoder's own.
    eps
        The threshold.
    eps_max
        The horizon.
    rank_by
        Which of several similar rows stays; ``None``: the lowest id.
    reference
        A second DataFrame with the same columns.
    output
        Where the tables lie; ``None``: in a temporary folder, for a session on this machine.

    Returns
    -------
    DeduplicatedFrame
        The tables.

    Raises
    ------
    ConfigError
        ``id``, or one of ``content`` and ``vector``, is not given, or ``output`` must be.
    """
    if id is None or (content is None) == (vector is None):
        raise ConfigError(
            "id, and either content or vector, must be given for a Spark DataFrame. Got "
            f"id={id!r}, content={content!r}, vector={vector!r}.",
            hint="rows of a DataFrame have no order, so an id must tell them apart: "
            'deduplicate(df, content="text", id="doc_id").',
        )
    if output is None:
        output = _temporary(df)
    columns = [content] if isinstance(content, str) else list(content or [])
    joined = len(columns) > 1 or template is not None
    source: dict[str, Any] = {
        "kind": "vectors" if vector is not None else "text",
        "table": _FRAME,
        "id": id,
        "content": vector or (_JOINED if joined else columns[0]),
        "columns": list(df.columns) if joined else None,
    }
    tree: dict[str, Any] = {
        "output": output,
        "source": source,
        "embed": {"encoder": "none"}
        if vector is not None
        else {"encoder": encoder, "model": model},
        "score": {"recall": "exact", "rank_by": rank_by or s.quoted(id), "eps_max": eps_max},
        "select": {"eps": eps},
    }
    frames = {s.EMBEDDINGS: joined_content(df, columns, template, _JOINED) if joined else df}
    if reference is not None:
        tree["reference"] = source
        frames[s.REFERENCE] = (
            joined_content(reference, columns, template, _JOINED) if joined else reference
        )
    job = open_job(df.sparkSession, parse_config(tree), frames=frames)
    return DeduplicatedFrame(job, run_job(job))


def _temporary(df: DataFrame) -> str:
    master = df.sparkSession.conf.get("spark.master", "")
    if not (master or "").startswith("local"):
        raise ConfigError(
            "output must be given where Spark runs on more than this machine: a directory or URI "
            "that all of it can reach, or catalog.schema. Got none."
        )
    return tempfile.mkdtemp(prefix="semdedup-")
