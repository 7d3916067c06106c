"""The table ``deduplicated``, where it is as the last selection left it: only what differs is
written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import CONTENT_HASH, SourceConfig
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.own_columns import few
from semdedup_spark.sources.open_raw import GONE
from semdedup_spark.sql_text import variable_in
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.changes import change_rows, has_columns_of, has_deletion_vectors
from semdedup_spark.tables.commits.write import Commit
from semdedup_spark.tables.hash_buckets import Part, narrow_part
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.states import mark_at
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.kept_differences import Differences, kept_differences
from semdedup_spark.transforms.select.threshold import own_rows

# The condition of a write names up to so many rows, each by a number of 19 digits. Delta's log
# keeps this text.
MOST_NAMED = 20_000
# The keys of a source that say what its ids and hashes are made of.
_IDENTIFYING = ("kind", "format", "id", "content", "text")
# The id of formats that have one of their own.
_OWN_IDS = {"files": "path", "webdataset": "id"}


@dataclass(frozen=True)
class Kept:
    """The kept rows as they are to be.

    Attributes
    ----------
    embed
        Record of the stage embed.
    own
        Returns columns id and source of all embedded rows.
    removed
        Column id: the rows that are not kept.
    """

    embed: StageRecord
    own: Callable[[], DataFrame]
    removed: DataFrame

    def shown(self, job: Job, rows: DataFrame) -> DataFrame:
        """Give rows the columns of the table.

        Parameters
        ----------
        job
            The job.
        rows
            Columns id and source.

        Returns
        -------
        DataFrame
            The same rows.
        """
        shown = own_rows(rows, with_id=not self.embed.counts["has_id"])
        return shown.drop(*filter(None, [job.config.source.unreadable]))

    def rows(self, job: Job) -> DataFrame:
        """Make all rows of the table.

        Parameters
        ----------
        job
            The job.

        Returns
        -------
        DataFrame
            The kept rows, with the columns of the source.
        """
        return self.shown(job, self.own().join(self.removed, s.ID, "left_anti"))


@dataclass(frozen=True)
class _Last:
    # The table as the last selection left it, the column of its ids, and their number; hashes of
    # the rows that this selection was made of, where others are embedded now.
    rows: DataFrame
    column: str
    n: int
    known: DataFrame | None


def write_changes(job: Job, table: str, kept: Kept, mark: StageMark) -> Commit | None:
    """Bring the table to the rows that are kept now, in one commit that writes what differs.

    Parameters
    ----------
    job
        The job.
    table
        Name of the table.
    kept
        The rows that are kept now.
    mark
        The mark of the commit.

    Returns
    -------
    Commit | None
        The commit, with the number of all rows of the table. ``None`` where nothing was written:
        the table is not as the last selection left it, what differs is not known, or it is so much
        that to write all rows is no more work.

    Raises
    ------
    Exception
        Whatever Spark raises while it compares the rows.
    """
    last = _last(job, table, kept, mark.stage)
    if last is None:
        return None
    try:
        found = _differences(job, kept, last)
    except Exception as error:  # Spark raises many kinds
        if not GONE.search(str(error)):
            raise
        return None  # VACUUM removed files of the embeddings of then
    if not found.are_sound or 2 * found.total > last.n + found.come - found.gone:
        return None
    rewrites = found.gone + found.changed > 0
    if rewrites and (found.total > MOST_NAMED or variable_in(last.column)):
        return None
    part, to_write, n_write = None, found.to_write, found.come + found.changed
    batches = found.batches()
    if rewrites:
        part = narrow_part(found.ids.withColumnRenamed(s.ID, last.column), last.column)
        beside = _beside(last, found, part)
        if beside is not None:
            to_write, n_write, batches = to_write.union(beside), n_write + beside.count(), None
    rows = _own_of(job, kept, few(to_write, n_write), batches) if n_write else kept.own().limit(0)
    return change_rows(kept.shown(job, rows), n_write, job.root, table, part, mark)


def _last(job: Job, table: str, kept: Kept, stage: str) -> _Last | None:
    """What the last selection left, if the table is still so and its rows can be told from those
    of now.
    """
    record, state = job.ledger.last(stage), job.state(table)
    recorded = job.ledger.state_of(table)
    if record is None or state is None or recorded is None or state.mark != recorded.mark:
        return None
    made_from = job.ledger.last_before("embed", record)
    if made_from is None or not _are_comparable(made_from, kept.embed):
        return None
    if _has_erased(made_from, kept.embed) and has_deletion_vectors(job.spark, job.root, table):
        return None  # an erased row must leave the files, also one that was marked long ago
    now, then = _embeddings(job, kept.embed), None
    if not _is_as_then(job, made_from):
        then = _embeddings_of(job, made_from)
        if then is None or not all(s.ROW_HASH in side.columns for side in (then, now)):
            return None
    rows = read_table(job.spark, job.root, table, state.version)
    column, kinds = _id_column(job.config.source, kept.embed), dict(rows.dtypes)
    same_columns = has_columns_of(rows, kept.shown(job, kept.own()), table)
    if not same_columns or kinds.get(column) != dict(now.dtypes)[s.ID]:
        return None
    return _Last(rows, column, rows.count(), then)


def _are_comparable(then: StageRecord, now: StageRecord) -> bool:
    """Whether equal ids and hashes of both mean equal rows."""
    sources = [json.loads(record.config).get("source", {}) for record in (then, now)]
    told: list[list[Any]] = [[source.get(key) for key in _IDENTIFYING] for source in sources]
    return told[0] == told[1] and then.counts["has_id"] == now.counts["has_id"]


def _has_erased(then: StageRecord, now: StageRecord) -> bool:
    """Whether rows may have been erased in between. Each version of the source counts its own."""
    erased = now.counts.get(s.ERASED, 0)
    is_same = then.result_key == now.result_key
    return erased > 0 and not (is_same and erased == then.counts.get(s.ERASED, 0))


def _id_column(source: SourceConfig, embed: StageRecord) -> str:
    """Name the column of the ids in the table; empty where a format has more than one for it."""
    if not embed.counts["has_id"] or source.id == CONTENT_HASH:
        return s.ID
    return source.id or _OWN_IDS.get(source.format or "", "")


def _embeddings(job: Job, record: StageRecord) -> DataFrame:
    return read_table(job.spark, job.root, s.EMBEDDINGS, record.outputs[s.EMBEDDINGS])


def _is_as_then(job: Job, record: StageRecord) -> bool:
    """Whether the embeddings are those of then, in whatever version."""
    state = job.state(s.EMBEDDINGS)
    return state is not None and state.mark.text() == record.marks.get(s.EMBEDDINGS)


def _embeddings_of(job: Job, record: StageRecord) -> DataFrame | None:
    """The embeddings of then. The numbers of versions begin again where a table is made anew, so
    the mark must be that of then as well.
    """
    version = record.outputs[s.EMBEDDINGS]
    mark = mark_at(job.spark, job.root, s.EMBEDDINGS, version)
    if mark is None or mark.text() != record.marks.get(s.EMBEDDINGS):
        return None
    try:
        return _embeddings(job, record)
    except StageOrderError:  # Delta's log has forgotten it
        return None


def _differences(job: Job, kept: Kept, last: _Last) -> Differences:
    before = last.rows.select(F.col(s.quoted(last.column)).alias(s.ID))
    now = _embeddings(job, kept.embed).join(kept.removed, s.ID, "left_anti")
    return kept_differences(before, now, last.known)


def _beside(last: _Last, found: Differences, part: Part) -> DataFrame | None:
    """Ids of rows of the part that stay as they are."""
    there = part.of(last.rows.select(s.quoted(last.column)))
    ids = there.select(F.col(s.quoted(last.column)).alias(s.ID))
    beside = held(ids.join(few(found.ids, found.total), s.ID, "left_anti"))
    return beside if beside.head(1) else None


def _own_of(job: Job, kept: Kept, ids: DataFrame, batches: list[int] | None) -> DataFrame:
    """Columns id and source of a few rows. New rows lie in files of their own, as far as Delta's
    statistics tell these by the batch.
    """
    embeddings = _embeddings(job, kept.embed)
    if s.SOURCE in embeddings.columns and batches is not None:
        own = embeddings.filter(F.col(s.BATCH).isin(batches)).select(s.ID, s.SOURCE)
    else:
        own = kept.own()
    return own.join(ids, s.ID, "left_semi")
