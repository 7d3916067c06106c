"""Source rows to ``embeddings`` and ``quarantine``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import JobConfig
from semdedup_spark.pipeline.exclusive import exclusive_once_begun
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import require_stage
from semdedup_spark.pipeline.stages.embed.embed_side import run_side
from semdedup_spark.pipeline.stages.embed.opened_side import Side
from semdedup_spark.pipeline.stages.embed.source_guards import check_same_ids
from semdedup_spark.pipeline.stages.select.decisions import decisions
from semdedup_spark.pipeline.stages.select.golden import check_ids, read_golden
from semdedup_spark.schema import ERASED
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.runs import StageRecord


def embed_settings(config: JobConfig) -> dict[str, Any]:
    """Collect the settings that decide the embeddings.

    Parameters
    ----------
    config
        The job's configuration.

    Returns
    -------
    dict[str, Any]
        Settings of the source and of the encoder.
    """
    return {"source": config.source.identity(), "embed": config.embed.identity()}


@exclusive_once_begun
def run_embed(job: Job) -> StageRecord:
    """Embed the rows of the source: the tables ``embeddings`` and ``quarantine``. The reference, if
    the job has one, is opened first: what can be refused of it is refused before any work.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    source, select = job.config.source, job.config.select
    golden = None if select.golden is None else read_golden(select.golden)

    def check_id(kind: DataType) -> None:  # before any work
        decisions(job, kind)
        if golden is not None:
            check_ids(golden, kind)

    columns = select.columns
    rank_by = job.config.score.rank_by
    side = Side(
        "embed",
        source,
        s.EMBEDDINGS,
        s.QUARANTINE,
        columns,
        rank_by,
        select.patterns,
        check_id,
        _reference_side(job),
    )
    return note_erasure(job, run_side(job, side, embed_settings(job.config)))


def require_embed(job: Job) -> StageRecord:
    """Look up the stage embed, which must have run before; see :func:`require_stage`.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord
        Its record, with counts that take erased rows into account.
    """
    return _recounted(job, require_stage(job, "embed", embed_settings(job.config)))


def note_erasure(job: Job, embed: StageRecord) -> StageRecord:
    """Correct the counts of the stage after erasures, also in the ledger, even if the erasing
    command was killed before it could do so.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage.

    Returns
    -------
    StageRecord
        The same record where no rows were erased since it was written.
    """
    counted = _recounted(job, embed)
    if counted is not embed and not job.dry_run:
        job.ledger.add(counted)
    return counted


def _recounted(job: Job, record: StageRecord) -> StageRecord:
    if not record.outputs:  # of a dry run
        return record
    states = {name: job.state(name) for name in record.outputs}
    known = {name: state for name, state in states.items() if state is not None}
    erased = sum(state.mark.rows.erased for state in known.values())
    if erased == record.counts.get(ERASED, 0):
        return record
    rows = {name: read_table(job.spark, job.root, name).count() for name in known}
    embedded, quarantined = rows.get(s.EMBEDDINGS, 0), rows.get(s.QUARANTINE, 0)
    counts = {"embedded": embedded, "quarantined": quarantined, "read": embedded + quarantined}
    return replace(
        record,
        run_id=job.run_id,
        started_at=datetime.now(timezone.utc),
        reused=False,
        why="rows were forgotten",
        outputs={name: state.version for name, state in known.items()},
        marks={name: state.mark.text() for name, state in known.items()},
        counts={**record.counts, **counts, ERASED: erased},
    )


def reference_settings(config: JobConfig) -> dict[str, Any]:
    """Collect the settings that decide the embeddings of the reference.

    Parameters
    ----------
    config
        The job's configuration.

    Returns
    -------
    dict[str, Any]
        Settings of the reference and of the encoder.
    """
    reference = config.reference
    return {
        "reference": None if reference is None else reference.identity(),
        "embed": config.embed.identity(),
    }


def _refuse_other_ids(job: Job, kind: DataType) -> None:
    """Refuse ids of the reference that the source's column ``neighbor_id`` cannot hold."""
    if table_exists(job.spark, job.root, s.EMBEDDINGS):
        own = read_table(job.spark, job.root, s.EMBEDDINGS)
        check_same_ids(own.schema[s.ID].dataType, kind)


@exclusive_once_begun
def run_reference(job: Job) -> StageRecord | None:
    """Embed the rows of the reference: the tables ``reference`` and ``reference_quarantine``.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord | None
        Record of the stage; ``None`` where the job has no reference.
    """
    side = _reference_side(job)
    return None if side is None else run_side(job, side, reference_settings(job.config))


def _reference_side(job: Job) -> Side | None:
    if job.config.reference is None:
        return None
    return Side(
        "reference",
        job.config.reference,
        s.REFERENCE,
        s.REFERENCE_QUARANTINE,
        {},
        "random",
        check_id=partial(_refuse_other_ids, job),
    )
