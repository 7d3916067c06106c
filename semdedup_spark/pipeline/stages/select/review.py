"""Rows between ``select.eps`` and ``select.review``: kept, and listed for people to judge."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.select.decisions import pairs_apart, pairs_together
from semdedup_spark.pipeline.stages.select.kept_apart import Parted, kept_apart
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.resolve import Case
from semdedup_spark.transforms.select.review import rows_between, with_confirmed
from semdedup_spark.transforms.select.threshold import explained_rows


def as_judged(job: Job, case: Case, removed: DataFrame) -> Parted:
    """Respect what people said of pairs: no row goes for one that it is kept apart from, and what
    ``review`` would list and people called a duplicate goes. Either may change which row stands for
    a neighbor, and so which pairs ``review`` would list. So both are repeated until no row goes.

    Parameters
    ----------
    job
        The job.
    case
        What was to be decided.
    removed
        What the rule removes.

    Returns
    -------
    Parted
        What is removed then.
    """
    pairs = _confirmed(job, removed)
    if pairs is None:
        return kept_apart(job, case, removed)
    removed = held(removed)
    more = with_confirmed(case, removed, pairs)
    parted = kept_apart(job, case, removed if more is None else more)
    # It ends: a row goes for an earlier row, or for one that itself never goes this way. So, one
    # after the other in rank order, what becomes of each row is settled.
    while (more := with_confirmed(case, parted.removed, pairs)) is not None:
        parted = parted.then(kept_apart(job, case, more))
    return parted


def rows_to_review(job: Job, case: Case, removed: DataFrame) -> DataFrame | None:
    """Make the rows of the table ``review``. Pairs that people keep apart are judged already.

    Parameters
    ----------
    job
        The job.
    case
        What was to be decided.
    removed
        What is removed.

    Returns
    -------
    DataFrame | None
        The rows; ``None`` where ``select.review`` is not set.
    """
    review = job.config.select.review
    if review is None:
        return None
    rows = rows_between(case, removed)
    apart = pairs_apart(job, *_kinds(removed))
    if apart is not None:
        rows = rows.join(apart, [s.ID, s.SURVIVOR_ID], "left_anti")
    named = rows.withColumn(s.REASON, F.lit(s.REVIEW))
    return explained_rows(named, case.embeddings, review).drop(s.REASON)


def _confirmed(job: Job, removed: DataFrame) -> DataFrame | None:
    """The pairs that people called duplicates, without those that people keep apart all the same.
    The latter would be taken apart and put together without end.
    """
    if job.config.select.review is None:
        return None
    pairs, apart = pairs_together(job, *_kinds(removed)), pairs_apart(job, *_kinds(removed))
    if pairs is None:
        return None
    if apart is not None:
        pairs = pairs.join(apart, [s.ID, s.SURVIVOR_ID], "left_anti")
    return held(pairs)


def _kinds(removed: DataFrame) -> tuple[DataType, DataType]:
    return removed.schema[s.ID].dataType, removed.schema[s.SURVIVOR_ID].dataType
