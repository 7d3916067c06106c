"""The own columns of the embedded rows of a job: from the copy in ``embeddings``, or the source."""

from __future__ import annotations

import json
from collections.abc import Callable

from pyspark.sql import DataFrame, Row

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig, canonical_json
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.identity import kept_config, kept_settings
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.own_columns import (
    OwnColumns,
    check_complete,
    check_unchanged,
    own_columns,
)
from semdedup_spark.sources.open_raw import GONE
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord

_STAGES = {s.EMBEDDINGS: "embed", s.REFERENCE: "reference"}
_KEYS_OF_JOB = {s.EMBEDDINGS: "source", s.REFERENCE: "reference"}


def rows_as_embedded(
    job: Job, table: str = s.EMBEDDINGS, record: StageRecord | None = None
) -> DataFrame:
    """Read the own columns of embedded rows, as far as they are still there.

    Parameters
    ----------
    job
        The job.
    table
        Table of the embeddings: ``embeddings`` or ``reference``.
    record
        Record of the stage that wrote it; by default the newest, and the table as it is now.

    Returns
    -------
    DataFrame
        Columns id and source, see :class:`OwnColumns`.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the source cannot be read any more.
    """
    return _own_columns(job, table, record).rows


def all_rows_as_embedded(
    job: Job, record: StageRecord, without: DataFrame | None = None
) -> DataFrame:
    """Read the own columns of all embedded rows, or refuse before anything is written.

    Parameters
    ----------
    job
        The job.
    record
        Record of the stage embed.
    without
        Column id: rows that are about to be erased, and may be gone. ``None``: none.

    Returns
    -------
    DataFrame
        Columns id and source, see :class:`OwnColumns`.

    Notes
    -----
    What it calls raises ``StageOrderError`` where rows are gone from the source, or are
    no longer as they were embedded.
    """
    found, fingerprint = _own_columns(job, s.EMBEDDINGS, record, without), record.inputs["source"]
    is_same = found.opened is not None and found.opened.fingerprint == fingerprint
    if not (is_same and was_read_whole(job, fingerprint)):
        check_complete(found)
        if is_same:
            note_whole(job, fingerprint)
    return found.rows


def note_whole(job: Job, fingerprint: str) -> None:
    """Note that this run has read all rows of a version of the source. So its files are there.

    Parameters
    ----------
    job
        The job.
    fingerprint
        The fingerprint of the source. Only that of a Delta table names a version that stays.
    """
    if job.turn is not None and fingerprint.startswith("delta:"):
        job.turn.whole.add(fingerprint)


def was_read_whole(job: Job, fingerprint: str) -> bool:
    """Tell whether this run has read all rows of a version of the source.

    Parameters
    ----------
    job
        The job.
    fingerprint
        The fingerprint of the source.

    Returns
    -------
    bool
        False where that is not known.
    """
    return job.turn is not None and fingerprint in job.turn.whole


def check_own_unchanged(job: Job, record: StageRecord) -> None:
    """Check, after own columns were written elsewhere, that they were those that were embedded.

    Parameters
    ----------
    job
        The job.
    record
        Record of the stage embed.

    Notes
    -----
    What it calls raises ``SourceChangedError`` where files of the source changed meanwhile.
    """
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, record.outputs[s.EMBEDDINGS])
    if job.turn is not None and s.SOURCE not in embeddings.columns:
        check_unchanged(job.turn.read.get(s.EMBEDDINGS))


def looked_up(job: Job, ask: Callable[[], list[Row]]) -> list[Row]:
    """Read a few rows for people. What the source cannot give any more is left out, and told.

    Parameters
    ----------
    job
        The job, whose listener is told.
    ask
        Reads the rows.

    Returns
    -------
    list[Row]
        The rows; none where the source cannot be read as it was.

    Raises
    ------
    Exception
        Whatever else Spark raises while it reads.
    """
    try:
        return ask()
    except StageOrderError as error:
        why = error.problem
    except Exception as error:  # Spark raises many kinds
        if not GONE.search(str(error)):
            raise
        why = "some of its files are gone, as after VACUUM."
    job.listener.noticed(f"rows of the source are not shown: {why}")
    return []


def refuse_other_source(key: str, source: SourceConfig, record: StageRecord) -> None:
    """Refuse a source other than the one that was embedded: equal ids would name other rows.

    Parameters
    ----------
    key
        ``source`` or ``reference``.
    source
        Its configuration.
    record
        Record of the stage that embedded it.

    Raises
    ------
    StageOrderError
        It was configured otherwise.
    """
    now = json.loads(canonical_json(kept_settings({key: source.identity()})))[key]
    if json.loads(kept_config(record.config)).get(key) != now:
        raise StageOrderError(
            f"{key} must be configured as it was when the rows were embedded. It differs.",
            hint="run `semdedup run`.",
        )


def _own_columns(
    job: Job, table: str, record: StageRecord | None, without: DataFrame | None = None
) -> OwnColumns:
    version = None if record is None else record.outputs[table]
    embeddings = read_table(job.spark, job.root, table, version)
    if without is not None:
        embeddings = embeddings.join(without.select(s.ID), s.ID, "left_anti")
    if s.SOURCE in embeddings.columns:
        return OwnColumns(embeddings.select(s.ID, s.SOURCE))
    source = job.config.source if table == s.EMBEDDINGS else job.config.reference
    record = record or job.ledger.last(_STAGES[table])
    if record is None or source is None:
        raise StageOrderError(
            f"stage {_STAGES[table]} must have run in {job.root.location}. The ledger does not "
            "know it.",
            hint="run `semdedup run`.",
        )
    refuse_other_source(_KEYS_OF_JOB[table], source, record)
    turn = job.turn
    opened = None if turn is None else turn.read.get(table)
    found = own_columns(job.spark, source, embeddings, record, opened)
    if turn is not None and found.opened is not None:
        turn.read[table] = found.opened
    return found
