"""``embeddings``, commit by commit: continued where a killed run stopped, and with the vectors of
rows that are as they were.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.pacing import next_rows
from semdedup_spark.pipeline.stages import Job, Progress
from semdedup_spark.sources.places import END_OF_PLACES
from semdedup_spark.sources.rows import SourceRows
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.writes import (
    Commit,
    CommitMark,
    TableState,
    append_rows,
    replace_table,
    table_state,
)
from semdedup_spark.transforms.embedding import (
    READY_MADE,
    REPEATED,
    embed_rows,
)
from semdedup_spark.transforms.workers import WorkerSettings

FIRST_BATCH = 0
# Rows of the first commit of an encoder, to learn its speed; cheap encoders start large.
FIRST_COMMIT = {"pixels": 20_000, READY_MADE: 1_000_000}
_USUAL_FIRST_COMMIT = 512
_FORGOTTEN = (s.REASON, REPEATED)


@dataclass(frozen=True)
class Work:
    """What is to be embedded, and how. ``made_with``: identity of the encoder and its settings."""

    source: SourceRows
    spec: EncoderSpec
    settings: WorkerSettings
    key: str
    made_with: str

    def embed(self, rows: DataFrame) -> DataFrame:
        """See :func:`embed_rows`. ``rows``: of the source."""
        return embed_rows(rows, self.spec, self.settings, batch=FIRST_BATCH)


@dataclass(frozen=True)
class Embedded:
    """``rows`` in the table at ``version``, of which an earlier version of it had ``reused`` and
    this invocation encoded ``encoded`` payloads (``None``: not known), up to ``position``.
    """

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
                "embed",
                at.rows,
                work.source.n_read,
                time.monotonic() - began,
                before=begin.rows,
                rejected=at.rejected,
            )
        )
        wanted = next_rows(done, target_seconds=job.config.embed.commit_seconds)
    stored = read_table(job.spark, job.root, s.EMBEDDINGS).count()
    if stored != at.rows:
        raise ReconciliationError(
            f"embeddings must hold what this run embedded, {at.rows} rows. It holds {stored}: "
            "another run writes to the same output.",
            hint="let one run finish, then run the command again.",
        )
    return at


def _begin(job: Job, work: Work) -> Embedded:
    state = table_state(job.spark, job.root, s.EMBEDDINGS)
    if state is None or state.mark.made_with != work.made_with:
        return Embedded()
    if state.holds("embed", work.key):
        rows = read_table(job.spark, job.root, s.EMBEDDINGS).count()
        # A commit without progress is that of the reused rows; the later ones say how many.
        reused = state.mark.reused if state.mark.progress else rows
        return Embedded(state.version, rows, state.mark.progress, reused)
    return _reuse(job, work, state)


def _reuse(job: Job, work: Work, state: TableState) -> Embedded:
    """Of an earlier result of this encoder, finished or not: keep the vectors of the rows whose id
    and content are in the source, beside what else the source now says of them; in one commit.
    """
    if work.spec.name == READY_MADE:  # nothing to save
        return Embedded()
    old = read_table(job.spark, job.root, s.EMBEDDINGS, state.version)
    rows = work.source.rows.filter(F.col(s.REASON).isNull())
    if s.NOTE not in old.columns or old.schema[s.ID].dataType != rows.schema[s.ID].dataType:
        return Embedded()
    rows = rows.select(s.ID, s.CONTENT_HASH, s.SOURCE)
    stored = old.select(s.ID, s.CONTENT_HASH, s.EMBEDDING, s.NOTE)
    kept = rows.join(stored, [s.ID, s.CONTENT_HASH]).select(
        s.ID,
        s.EMBEDDING,
        s.CONTENT_HASH,
        F.lit(FIRST_BATCH).alias(s.BATCH),
        s.SOURCE,
        s.NOTE,
    )
    commit = replace_table(kept, job.root, s.EMBEDDINGS, _mark(job, work))
    return Embedded(commit.version, commit.rows, 0, commit.rows)


def _mark(job: Job, work: Work) -> CommitMark:
    return CommitMark(job.run_id, "embed", work.key, goal=END_OF_PLACES, made_with=work.made_with)


def _commit(job: Job, work: Work, at: Embedded, end: int) -> Embedded:
    """Embed the rows whose place is in [at.position, end)."""
    rows = work.source.between(at.position, end)
    if at.reused:
        table = read_table(job.spark, job.root, s.EMBEDDINGS, at.version)
        known = table.select(s.ID, s.CONTENT_HASH)
        rows = rows.join(known, [s.ID, s.CONTENT_HASH], "left_anti")
    embedded, observed = work.embed(_spread(job, rows, work.spec)), Observation()
    # A write to a named table is a command within a command, in which Spark 4.1 loses what was
    # observed, and asking for it then fails.
    if not job.root.is_catalog:
        embedded = embedded.observe(
            observed,
            F.count(s.REASON).alias("rejected"),
            F.count(F.when(F.col(s.REASON).isNull() & ~F.col(REPEATED), 1)).alias("encoded"),
        )
    good = embedded.filter(F.col(s.REASON).isNull()).drop(*_FORGOTTEN)
    good = good.withColumnRenamed(s.MESSAGE, s.NOTE)
    store = append_rows if at.begun else replace_table
    mark = replace(_mark(job, work), progress=end, reused=at.reused)
    commit: Commit = store(good, job.root, s.EMBEDDINGS, mark)
    seen = {} if job.root.is_catalog else observed.get
    return Embedded(
        commit.version,
        at.rows + commit.rows,
        end,
        at.reused,
        _sum(at.encoded, seen.get("encoded")),
        _sum(at.rejected, seen.get("rejected")),
    )


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
