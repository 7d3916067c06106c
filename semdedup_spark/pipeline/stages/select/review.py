"""Rows between ``select.eps`` and ``select.review``: kept, and listed for people to judge."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.select.decisions import pairs_apart, pairs_together
from semdedup_spark.transforms.select.resolve import Case
from semdedup_spark.transforms.select.review import rows_between, with_confirmed
from semdedup_spark.transforms.select.threshold import explained_rows


def with_verdicts(job: Job, case: Case, removed: DataFrame) -> DataFrame:
    """Remove what ``review`` would list and people called duplicates: see ``also_merge``.

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
    DataFrame
        What is removed then, with the same columns.
    """
    if job.config.select.review is None:
        return removed
    pairs = pairs_together(job, *_kinds(removed))
    return removed if pairs is None else with_confirmed(case, removed, pairs)


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
        if case.chains:  # whichever of the two was named first
            swapped = apart.toDF(s.SURVIVOR_ID, s.ID)
            rows = rows.join(swapped, [s.ID, s.SURVIVOR_ID], "left_anti")
    named = rows.withColumn(s.REASON, F.lit(s.REVIEW))
    return explained_rows(named, case.embeddings, review).drop(s.REASON)


def _kinds(removed: DataFrame) -> tuple[DataType, DataType]:
    return removed.schema[s.ID].dataType, removed.schema[s.SURVIVOR_ID].dataType
