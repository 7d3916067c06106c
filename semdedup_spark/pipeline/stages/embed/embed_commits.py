"""``embeddings``, commit by commit: a killed run goes on, and unchanged rows keep their vectors."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.commit_size import next_rows
from semdedup_spark.pipeline.job_context import Job, Progress
from semdedup_spark.pipeline.observed import observe
from semdedup_spark.pipeline.stages.embed.embed_work import Embedded, Work, mark_of
from semdedup_spark.pipeline.stages.embed.row_identity import TELLING
from semdedup_spark.pipeline.stages.embed.source_changes import (
    Carried,
    carried_over,
    new_history,
    rank_identity,
)
from semdedup_spark.pipeline.stages.embed.source_guards import check_replacement
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.commits.write import Commit, append_rows, replace_rows, replace_table
from semdedup_spark.tables.hash_buckets import part_with
from semdedup_spark.tables.marks import StageMark, WriteProgress
from semdedup_spark.tables.states import TableState
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.embed.embed_rows import (
    READY_MADE,
    REPEATED,
    good_rows,
)
from semdedup_spark.transforms.embed.vector_storage import storage_of

# Rows of the first commit of an encoder, to learn its speed; cheap encoders start large.
FIRST_COMMIT = {"pixels": 20_000, READY_MADE: 1_000_000}
_USUAL_FIRST_COMMIT = 512
MOST_BROADCAST = 1_000_000  # keys
_NEW = "__new"


def embed_all(job: Job, work: Work) -> Embedded:
    """Embed in commits of about ``commit_seconds``, each a range of the rows' places.

    Parameters
    ----------
    job
        The job.
    work
        What is to be embedded.

    Returns
    -------
    Embedded
        The complete table.

    Notes
    -----
    What it calls raises ``ReconciliationError`` where the table does not have the rows that this
    run wrote and kept.
    """
    begin = at = _begin(job, work)
    if begin.begun:  # rows are stored in the way of the table that they are appended to
        there = read_table(job.spark, job.root, work.table, begin.version)
        work = replace(work, stored_as=storage_of(there))
    began, done = time.monotonic(), list[tuple[int, float]]()
    versions = [begin.version] if begin.begun else []
    wanted = FIRST_COMMIT.get(work.spec.name, _USUAL_FIRST_COMMIT)
    # Rows that are not reused are spread over all places.
    to_do = max(begin.added.n_read if begin.added else work.source.n_read - begin.reused, 1)
    while at.position < END_OF_PLACES:
        width = max(1, int(wanted / to_do * END_OF_PLACES))
        end = min(END_OF_PLACES, at.position + width)
        covered, clock = (
            max(1, round((end - at.position) / END_OF_PLACES * to_do)),
            time.monotonic(),
        )
        at = _commit(job, work, at, end)
        versions.append(at.version)
        done.append((covered, time.monotonic() - clock))
        job.listener.progress(
            Progress(
                work.stage,
                at.rows,
                work.source.n_read,
                time.monotonic() - began,
                before=begin.rows,
                rejected=at.rejected,
            )
        )
        wanted = next_rows(done, target_seconds=job.config.embed.commit_seconds)
    _check_alone(job, work, at, versions)
    return at


def _check_alone(job: Job, work: Work, at: Embedded, versions: list[int]) -> None:
    """Count the rows where another program may have committed between these commits."""
    in_a_row = all(later == earlier + 1 for earlier, later in pairwise(versions))
    if in_a_row and not job.root.overwrites_commits:
        return
    stored = read_table(job.spark, job.root, work.table).count()
    if stored != at.rows:
        raise ReconciliationError(
            f"embeddings must hold what this run embedded, {at.rows} rows. It holds {stored}: "
            "another run writes to the same output.",
            hint="let one run finish, then run the command again.",
        )


def _begin(job: Job, work: Work) -> Embedded:
    state = job.state(work.table)
    if state is None or state.mark.made_with != work.made_with:
        return _anew(job, work)
    recorded = _recorded_rows(job, work, state)
    if recorded is None and _is_doubled(job, work):
        return _anew(job, work)
    there = read_table(job.spark, job.root, work.table)
    goes_on = _goes_on(work, there, state)
    added = work.source.added
    if added is not None and recorded is not None and goes_on:
        history = replace(state.mark.rows, batch=state.mark.rows.batch + 1)
        return Embedded(history, state.version, recorded, reused=recorded, added=added)
    if state.holds(work.stage, work.key) and goes_on:
        rows = there.count()
        done = state.mark.progress
        # The commit at position 0 writes reused rows only; later ones note their number.
        reused = done.reused if done.position else rows
        history = replace(state.mark.rows, erased=0)
        return Embedded(history, state.version, rows, done.position, reused)
    return _carry_over(job, work, state)


def _goes_on(work: Work, there: DataFrame, state: TableState) -> bool:
    """Whether rows can be appended: the table tells the same of them, by the same order. The key
    does not know the order, and release 0.2 may have begun the table.
    """
    told = {name for name in there.columns if name in TELLING}
    same_order = state.mark.rows.order == rank_identity(work.rank_by)
    return told == set(work.told) and same_order


def _recorded_rows(job: Job, work: Work, state: TableState) -> int | None:
    """The number of rows, if it is what the ledger's last record of the stage counted, when all
    rows read were accounted for. Delta knows it without reading any row, so in an ordinary night no
    id has to be counted.
    """
    last = job.ledger.last(work.stage)
    if last is None or last.result_key != state.mark.result_key:
        return None
    rows = read_table(job.spark, job.root, work.table, state.version).count()
    return rows if rows == last.counts.get("embedded") else None


def _is_doubled(job: Job, work: Work) -> bool:
    """Whether an id is there twice. The lease keeps other runs out, but not another program, and
    not a run whose machine slept until its lease had ended. What they left is of no use.
    """
    ids = read_table(job.spark, job.root, work.table)
    row = ids.agg(F.count(s.ID) > F.count_distinct(s.ID)).first()
    return row is not None and bool(row[0])


def _anew(job: Job, work: Work) -> Embedded:
    seen = work.embed(work.source.rows, 0)
    check_replacement(job, work.stage, work.table, work.compared, work.place, seen)
    return Embedded(new_history(work.compared, work.key))


def _rejected(job: Job, work: Work) -> DataFrame | None:
    """The rows in quarantine, where the source numbers its batches."""
    if not work.source.has_batch or not table_exists(job.spark, job.root, work.quarantine):
        return None
    return read_table(job.spark, job.root, work.quarantine)


def _carry_over(job: Job, work: Work, state: TableState) -> Embedded:
    """Take over an earlier result of this encoder, finished or not. Rows whose id and content are
    in the source keep their vectors, and get what is to be told of its present columns. This takes
    one commit, or none where all rows are as they were.
    """
    old = read_table(job.spark, job.root, work.table, state.version)
    compared = replace(work.compared, rejected=_rejected(job, work))
    carried = carried_over(compared, old, state, work.key)
    if carried is None:
        return _anew(job, work)
    known = Embedded(carried.history, state.version, carried.kept, 0, carried.kept)
    present = work.source.rows.filter(F.col(s.REASON).isNull())
    rows = work.identified(present).select(s.ID, *work.told)
    same_columns = _told(old) == _told(rows)
    if not carried.n_leaving and not carried.n_touched and same_columns:
        return known
    known_of = [name for name in old.columns if name not in TELLING]
    now = old.select(known_of).join(rows, s.ID).select(*known_of, *work.told)
    mark = mark_of(job, work, known)
    store = _write_few if carried.few and same_columns else _write_all
    return replace(known, version=store(job, work, now, carried, mark).version)


def _told(rows: DataFrame) -> dict[str, str]:
    """Types are compared without nullability: Delta makes every column nullable."""
    told = (f for f in rows.schema if f.name in TELLING)
    return {f.name: f.dataType.simpleString() for f in told}


def _write_few(job: Job, work: Work, now: DataFrame, carried: Carried, mark: StageMark) -> Commit:
    differ = held(carried.pairs)
    part = part_with(differ.select(s.ID), carried.kept + carried.n_leaving)
    rows = _staying(part.of(now), differ)
    return replace_rows(rows, job.root, work.table, part, mark)


def _write_all(job: Job, work: Work, now: DataFrame, carried: Carried, mark: StageMark) -> Commit:
    return replace_table(_staying(now, carried.pairs), job.root, work.table, mark)


def _staying(rows: DataFrame, pairs: DataFrame) -> DataFrame:
    leaving = pairs.filter("leaving").select(s.ID)
    return rows.join(leaving, s.ID, "left_anti").select(*rows.columns)


def _commit(job: Job, work: Work, at: Embedded, end: int) -> Embedded:
    """Embed the rows whose place is in [at.position, end)."""
    rows = (at.added or work.source).between(at.position, end)
    if at.reused and at.added is None:
        known = read_table(job.spark, job.root, work.table, at.version)
        rows = not_known(rows, known, at.rows, work.source.n_read - at.reused)
    rows = _spread(job, work.identified(rows), work.spec)
    embedded = work.embed(rows, at.history.batch, work.told)
    encoded = F.col(s.REASON).isNull() & ~F.col(REPEATED)
    observed = observe(
        job,
        embedded,
        F.count(s.REASON).alias("rejected"),
        F.count(F.when(encoded, 1)).alias("encoded"),
    )
    good = good_rows(observed.rows)
    store = append_rows if at.begun else replace_table
    progress = WriteProgress(end, END_OF_PLACES, at.reused)
    mark = replace(mark_of(job, work, at), progress=progress)
    commit: Commit = store(good, job.root, work.table, mark)
    seen = observed.counts()
    return replace(
        at,
        version=commit.version,
        rows=at.rows + commit.rows,
        position=end,
        encoded=_sum(at.encoded, seen.get("encoded")),
        rejected=_sum(at.rejected, seen.get("rejected")),
    )


def not_known(rows: DataFrame, known: DataFrame, n_known: int, n_new: int) -> DataFrame:
    """Leave out rows that are in the table. Payloads stay where they are read, as long as the
    known rows, or the new ones, are few enough to be sent to them.

    Parameters
    ----------
    rows
        Rows of the source.
    known
        Rows of the table.
    n_known
        Number of the latter.
    n_new
        Number of rows that are not in the table, as far as it is known.

    Returns
    -------
    DataFrame
        Some of ``rows``, with the same columns.
    """
    keys = [s.ID, s.CONTENT_HASH]
    known = known.select(keys)
    if n_known <= MOST_BROADCAST:
        return rows.join(F.broadcast(known), keys, "left_anti")
    if n_new > MOST_BROADCAST:
        return rows.join(known, keys, "left_anti")
    new = rows.select(keys).join(known, keys, "left_anti").distinct().withColumn(_NEW, F.lit(True))
    flagged = rows.join(F.broadcast(new), keys, "left")
    return flagged.filter(F.col(_NEW) | F.col(s.ID).isNull()).select(rows.columns)


def _sum(before: int | None, more: int | None) -> int | None:
    return None if before is None or more is None else before + more


def _spread(job: Job, rows: DataFrame, spec: EncoderSpec) -> DataFrame:
    """Give every task rows to encode, equal payloads to one task; ready-made vectors stay where
    they are.
    """
    if spec.name == READY_MADE:
        return rows
    tasks = job.spark.conf.get("spark.sql.shuffle.partitions", "200") or "200"
    return rows.repartition(int(tasks) if tasks.isdigit() else 200, s.CONTENT_HASH)
