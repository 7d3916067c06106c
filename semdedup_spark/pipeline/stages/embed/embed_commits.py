"""``embeddings``, commit by commit: a killed run goes on, and unchanged rows keep their vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.commit_size import next_rows
from semdedup_spark.pipeline.observed import observe
from semdedup_spark.pipeline.stage_runner import Job, Progress
from semdedup_spark.pipeline.stages.embed.source_changes import (
    Carried,
    Compared,
    History,
    carried_over,
    new_history,
)
from semdedup_spark.pipeline.stages.embed.source_guards import check_replacement
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.commits import (
    Commit,
    CommitMark,
    TableState,
    append_rows,
    replace_rows,
    replace_table,
    table_state,
)
from semdedup_spark.tables.hash_buckets import part_with
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.embed.embed_rows import (
    READY_MADE,
    REPEATED,
    embed_rows,
    good_rows,
)
from semdedup_spark.transforms.embed.vector_storage import LISTS, storage_of
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings

# Rows of the first commit of an encoder, to learn its speed; cheap encoders start large.
FIRST_COMMIT = {"pixels": 20_000, READY_MADE: 1_000_000}
_USUAL_FIRST_COMMIT = 512
MOST_BROADCAST = 1_000_000  # keys
_NEW = "__new"


@dataclass(frozen=True)
class Work:
    """What is to be embedded, and how. ``made_with``: identity of the encoder and its settings;
    ``content``: the source's column that is embedded; ``place``: where the source is; ``stage``,
    ``table``: who writes what, beside the table ``quarantine`` of rejected rows, and of which of
    Spark's types ``stored_as`` the embeddings of a new table are; ``rank_by``: the order that looks
    at the source's columns.
    """

    source: SourceRows
    spec: EncoderSpec
    settings: WorkerSettings
    key: str
    made_with: str
    content: str | None
    place: str
    stage: str = "embed"
    table: str = s.EMBEDDINGS
    stored_as: str = LISTS
    rank_by: str = "random"
    quarantine: str = s.QUARANTINE

    def embed(self, rows: DataFrame, batch: int, carried: Sequence[str] = ()) -> DataFrame:
        """See :func:`embed_rows`. ``rows``: of the source."""
        stored_as = self.stored_as
        return embed_rows(
            rows, self.spec, self.settings, batch=batch, stored_as=stored_as, carried=carried
        )

    @property
    def compared(self) -> Compared:
        """The source, to be compared with the table."""
        return Compared(self.source, self.content, self.rank_by)


@dataclass(frozen=True)
class Embedded:
    """``rows`` in the table at ``version``, of which an earlier version of it had ``reused`` and
    this invocation encoded ``encoded`` payloads (``None``: not known), up to ``position``.
    """

    history: History
    version: int = 0
    rows: int = 0
    position: int = 0
    reused: int = 0
    encoded: int | None = 0
    rejected: int | None = 0

    @property
    def begun(self) -> bool:
        """Whether the table is there to be appended to."""
        return self.position > 0 or self.rows > 0


def embed_all(job: Job, work: Work) -> Embedded:
    """Embed in commits of about ``commit_seconds``, each a range of the rows' places."""
    begin = at = _begin(job, work)
    if begin.begun:  # appended to a table, rows are stored as its are
        there = read_table(job.spark, job.root, work.table, begin.version)
        work = replace(work, stored_as=storage_of(there))
    began, done = time.monotonic(), list[tuple[int, float]]()
    wanted = FIRST_COMMIT.get(work.spec.name, _USUAL_FIRST_COMMIT)
    # Rows that are not reused are spread over all places.
    to_do = max(work.source.n_read - begin.reused, 1)
    while at.position < END_OF_PLACES:
        width = max(1, int(wanted / to_do * END_OF_PLACES))
        end = min(END_OF_PLACES, at.position + width)
        covered, clock = (
            max(1, round((end - at.position) / END_OF_PLACES * to_do)),
            time.monotonic(),
        )
        at = _commit(job, work, at, end)
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
    stored = read_table(job.spark, job.root, work.table).count()
    if stored != at.rows:
        raise ReconciliationError(
            f"embeddings must hold what this run embedded, {at.rows} rows. It holds {stored}: "
            "another run writes to the same output.",
            hint="let one run finish, then run the command again.",
        )
    return at


def _begin(job: Job, work: Work) -> Embedded:
    state = table_state(job.spark, job.root, work.table)
    if state is None or state.mark.made_with != work.made_with or _is_doubled(job, work):
        return _anew(job, work)
    if state.holds(work.stage, work.key):
        rows = read_table(job.spark, job.root, work.table).count()
        mark = state.mark
        history = History(mark.batch, mark.origin, mark.ordered)
        # A commit without progress is that of the reused rows; the later ones say how many.
        reused = mark.reused if mark.progress else rows
        return Embedded(history, state.version, rows, mark.progress, reused)
    return _carry_over(job, work, state)


def _is_doubled(job: Job, work: Work) -> bool:
    """Whether an id is there twice: once two runs wrote at a time, and what they left is no use."""
    ids = read_table(job.spark, job.root, work.table)
    row = ids.agg(F.count(s.ID) > F.count_distinct(s.ID)).first()
    return row is not None and bool(row[0])


def _anew(job: Job, work: Work) -> Embedded:
    seen = work.embed(work.source.rows, 0)
    check_replacement(job, work.stage, work.table, work.compared, work.place, seen)
    return Embedded(new_history(work.compared, work.key))


def _rejected(job: Job, work: Work) -> DataFrame | None:
    """The rows in quarantine, where a source has old batches of its own."""
    if not work.source.has_batch or not table_exists(job.spark, job.root, work.quarantine):
        return None
    return read_table(job.spark, job.root, work.quarantine)


def _carry_over(job: Job, work: Work, state: TableState) -> Embedded:
    """Of an earlier result of this encoder, finished or not: keep the vectors of the rows whose id
    and content are in the source, beside what else the source now says of them; in one commit, or
    none where all rows are as they were.
    """
    old = read_table(job.spark, job.root, work.table, state.version)
    compared = replace(work.compared, rejected=_rejected(job, work))
    carried = carried_over(compared, old, state, work.key)
    if carried is None:
        return _anew(job, work)
    known = Embedded(carried.history, state.version, carried.kept, 0, carried.kept)
    rows = work.source.rows.filter(F.col(s.REASON).isNull()).select(s.ID, s.SOURCE)
    # By their names: Delta makes every column nullable, whatever the source says.
    kinds = (table.schema[s.SOURCE].dataType.simpleString() for table in (old, rows))
    same_columns = len(set(kinds)) == 1
    if not carried.n_leaving and not carried.n_touched and same_columns:
        return known
    now = old.drop(s.SOURCE).join(rows, s.ID).select(*old.columns)
    mark = mark_of(job, work, known)
    store = _write_few if carried.few and same_columns else _write_all
    return replace(known, version=store(job, work, now, carried, mark).version)


def _write_few(job: Job, work: Work, now: DataFrame, carried: Carried, mark: CommitMark) -> Commit:
    differ = held(carried.pairs)
    part = part_with(differ.select(s.ID), carried.kept + carried.n_leaving)
    rows = _staying(part.of(now), differ)
    return replace_rows(rows, job.root, work.table, part, mark)


def _write_all(job: Job, work: Work, now: DataFrame, carried: Carried, mark: CommitMark) -> Commit:
    return replace_table(_staying(now, carried.pairs), job.root, work.table, mark)


def _staying(rows: DataFrame, pairs: DataFrame) -> DataFrame:
    leaving = pairs.filter("leaving").select(s.ID)
    return rows.join(leaving, s.ID, "left_anti").select(*rows.columns)


def mark_of(job: Job, work: Work, at: Embedded) -> CommitMark:
    """The mark of a commit of reused rows."""
    return CommitMark(
        job.run_id,
        work.stage,
        work.key,
        goal=END_OF_PLACES,
        made_with=work.made_with,
        batch=at.history.batch,
        origin=at.history.origin,
        ordered=at.history.ordered,
    )


def _commit(job: Job, work: Work, at: Embedded, end: int) -> Embedded:
    """Embed the rows whose place is in [at.position, end)."""
    rows = work.source.between(at.position, end)
    if at.reused:
        known = read_table(job.spark, job.root, work.table, at.version)
        rows = not_known(rows, known, at.rows, work.source.n_read - at.reused)
    embedded = work.embed(_spread(job, rows, work.spec), at.history.batch)
    encoded = F.col(s.REASON).isNull() & ~F.col(REPEATED)
    observed = observe(
        job,
        embedded,
        F.count(s.REASON).alias("rejected"),
        F.count(F.when(encoded, 1)).alias("encoded"),
    )
    good = good_rows(observed.rows)
    store = append_rows if at.begun else replace_table
    mark = replace(mark_of(job, work, at), progress=end, reused=at.reused)
    commit: Commit = store(good, job.root, work.table, mark)
    seen = observed.counts()
    return Embedded(
        at.history,
        commit.version,
        at.rows + commit.rows,
        end,
        at.reused,
        _sum(at.encoded, seen.get("encoded")),
        _sum(at.rejected, seen.get("rejected")),
    )


def not_known(rows: DataFrame, known: DataFrame, n_known: int, n_new: int) -> DataFrame:
    """``rows`` without those in ``known``. Payloads stay where they are read, as long as those that
    are known, or those that are not, are few enough to be sent to them.
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
