"""Rows with one id of which an encoder has refused the first: the next good one takes its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.stage_runner import Job
from semdedup_spark.pipeline.stages.embed.embed_commits import (
    MOST_BROADCAST,
    Embedded,
    Work,
    mark_of,
)
from semdedup_spark.sources.duplicate_ids import (
    COPY,
    FRESH,
    KNOWN,
    ORDER,
    REFUSED,
    STANDING,
    contested,
)
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.source_rows import Twins
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits import append_rows, table_state
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.embed.embed_rows import good_rows


@dataclass(frozen=True)
class Contest:
    """``ids``: (id), ``n_ids`` of them, of which the source has several rows that may be good."""

    twins: Twins
    ids: DataFrame
    n_ids: int


def opened_contest(work: Work) -> Contest | None:
    """``None`` where no two rows that may be good have one id."""
    twins = work.source.twins
    if twins is None:
        return None
    ids = held(contested(twins.candidates()))
    n_ids = ids.count()
    return Contest(twins, ids, n_ids) if n_ids else None


def with_choice(job: Job, work: Work, contest: Contest | None) -> Work:
    """Of rows with one id choose by what is known of them: a row that is in ``embeddings`` stays
    there, however those that came later hash, and one that was refused waits behind the others.
    Where the source numbers its batches, these decide alone which of the good ones is taken.
    """
    if contest is None:
        return work
    known = None if work.source.has_batch else _known(job, work, contest, F.lit(False))
    return _chosen(work, contest, [known, _refused(job, work, contest)])


def settled(job: Job, work: Work, contest: Contest | None, batch: int) -> Work:
    """The choice as it ended: of rows with one id the one that is in ``embeddings``; where none is,
    all were refused. ``batch``: that this run brought.
    """
    if contest is None:
        return work
    fresh = F.lit(True) if work.source.has_batch else F.col(s.BATCH) == batch
    known = _known(job, work, contest, fresh)
    parts = [known, _refused(job, work, contest)]
    if known is not None:
        lost = contest.ids.join(known, s.ID, "left_anti")
        rows = contest.twins.candidates().join(lost, s.ID, "left_semi")
        parts.append(_standing(rows, REFUSED, F.lit(False)))
    return _chosen(work, contest, parts)


def rescued(job: Job, work: Work, contest: Contest | None, at: Embedded) -> Embedded:
    """Where the row that was chosen is not in ``embeddings``, append the first of the others that
    the encoder takes. Repeated, it finds nothing to do.
    """
    if contest is None:
        return at
    present = read_table(job.spark, job.root, work.table).select(s.ID)
    missing = held(contest.ids.join(present, s.ID, "left_anti"))
    n_missing = missing.count()
    if not n_missing:
        return at
    few = F.broadcast(missing) if n_missing <= MOST_BROADCAST else missing
    rows = contest.twins.candidates().join(few, s.ID, "left_semi")
    good = good_rows(work.embed(rows, at.history.batch, [ORDER]))
    first = F.row_number().over(Window.partitionBy(s.ID).orderBy(s.BATCH, ORDER))
    taken = good.withColumn(COPY, first).filter(F.col(COPY) == 1).drop(COPY, ORDER)
    mark = replace(mark_of(job, work, at), progress=END_OF_PLACES, reused=at.reused)
    commit = append_rows(taken, job.root, work.table, mark)
    return replace(at, version=commit.version, rows=at.rows + commit.rows)


def _chosen(work: Work, contest: Contest, said: Sequence[DataFrame | None]) -> Work:
    parts = [part for part in said if part is not None]
    if not parts:
        return work
    both = reduce(DataFrame.unionByName, parts)
    best = F.min(STANDING).alias(STANDING), F.max(FRESH).alias(FRESH)
    standing = held(both.groupBy(s.ID, s.CONTENT_HASH).agg(*best))
    if contest.n_ids <= MOST_BROADCAST:
        standing = F.broadcast(standing)
    choice = contest.twins.choosing(standing)
    return replace(work, source=replace(work.source, rows=choice.rows, between=choice.between))


def _known(job: Job, work: Work, contest: Contest, fresh: Column) -> DataFrame | None:
    rows = _of_this_encoder(job, work, contest, work.table)
    return None if rows is None else _standing(rows, KNOWN, fresh)


def _refused(job: Job, work: Work, contest: Contest) -> DataFrame | None:
    rows = _of_this_encoder(job, work, contest, work.quarantine)
    if rows is None or s.CONTENT_HASH not in rows.columns:  # written by an earlier release
        return None
    return _standing(rows.filter(F.col(s.CONTENT_HASH).isNotNull()), REFUSED, F.lit(False))


def _standing(rows: DataFrame, standing: int, fresh: Column) -> DataFrame:
    number = F.lit(standing).alias(STANDING)
    return rows.select(s.ID, s.CONTENT_HASH, number, fresh.alias(FRESH))


def _of_this_encoder(job: Job, work: Work, contest: Contest, table: str) -> DataFrame | None:
    """Rows of the ``table`` with contested ids; ``None`` where they say nothing of this run's."""
    state = table_state(job.spark, job.root, table)
    if state is None or state.mark.made_with != work.made_with:
        return None
    rows = read_table(job.spark, job.root, table, state.version)
    if rows.schema[s.ID].dataType != contest.ids.schema[s.ID].dataType:
        return None
    return rows.join(contest.ids, s.ID, "left_semi")
