"""Rows with one id of which the encoder has refused the first: the next good one is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.embed_commits import MOST_BROADCAST
from semdedup_spark.pipeline.stages.embed.embed_work import Embedded, Work, mark_of
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
from semdedup_spark.tables.commits.write import append_rows
from semdedup_spark.tables.marks import WriteProgress
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.embed.embed_rows import good_rows


@dataclass(frozen=True)
class Contest:
    """Ids of which the source has several rows that may be good.

    Attributes
    ----------
    twins
        The rows.
    ids
        The ids: column id.
    n_ids
        Number of the ids.
    """

    twins: Twins
    ids: DataFrame
    n_ids: int


def opened_contest(work: Work) -> Contest | None:
    """Find ids of which the source has several rows that may be good.

    Parameters
    ----------
    work
        What is to be embedded.

    Returns
    -------
    Contest | None
        ``None`` where there is no such id.
    """
    twins = work.source.twins
    if twins is None:
        return None
    ids = held(contested(twins.candidates()))
    n_ids = ids.count()
    return Contest(twins, ids, n_ids) if n_ids else None


def with_choice(job: Job, work: Work, contest: Contest | None) -> Work:
    """Choose among rows with one id by what is known of them. A row that is in ``embeddings``
    stays there, however those that came later hash, and one that was refused waits behind the
    others. Where the source numbers its batches, these alone decide which of the good rows is
    taken.

    Parameters
    ----------
    job
        The job.
    work
        What is to be embedded.
    contest
        The ids in question, if there are any.

    Returns
    -------
    Work
        With the chosen row of each id.
    """
    if contest is None:
        return work
    known = None if work.source.has_batch else _known(job, work, contest, F.lit(False))
    return _chosen(work, contest, [known, _refused(job, work, contest)])


def settled(job: Job, work: Work, contest: Contest | None, batch: int) -> Work:
    """Describe the choice as it ended: of rows with one id the one that is in ``embeddings``.
    Where none is, all were refused.

    Parameters
    ----------
    job
        The job.
    work
        What was embedded.
    contest
        The ids in question, if there are any.
    batch
        Number of the batch that this run brought.

    Returns
    -------
    Work
        With the row of each id that was taken.
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
    """Where the chosen row is not in ``embeddings``, append the first of the others that the
    encoder takes. Repeated, it finds nothing to do.

    Parameters
    ----------
    job
        The job.
    work
        What was embedded.
    contest
        The ids in question, if there are any.
    at
        The table as it is.

    Returns
    -------
    Embedded
        The table afterwards.
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
    rows = work.identified(rows, [ORDER])
    good = good_rows(work.embed(rows, at.history.batch, [*work.told, ORDER]))
    first = F.row_number().over(Window.partitionBy(s.ID).orderBy(s.BATCH, ORDER))
    taken = good.withColumn(COPY, first).filter(F.col(COPY) == 1).drop(COPY, ORDER)
    progress = WriteProgress(END_OF_PLACES, END_OF_PLACES, at.reused)
    mark = replace(mark_of(job, work, at), progress=progress)
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
    """Rows of the ``table`` with contested ids; ``None`` where they are of another encoder or of
    another type of ids.
    """
    state = job.state(table)
    if state is None or state.mark.made_with != work.made_with:
        return None
    rows = read_table(job.spark, job.root, table, state.version)
    if rows.schema[s.ID].dataType != contest.ids.schema[s.ID].dataType:
        return None
    return rows.join(contest.ids, s.ID, "left_semi")
