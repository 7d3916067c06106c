"""Compares the rows of a job as planned, and tells how much was compared."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.observed import Observed, observe
from semdedup_spark.transforms.score.compare import compare, merge
from semdedup_spark.transforms.score.compare_units import COMPARISONS, PROBES
from semdedup_spark.transforms.score.comparison import Carrier, Comparison, Scope


def scored(
    job: Job, rows: DataFrame, comparison: Comparison, scope: Scope, carrier: Carrier
) -> Observed:
    """Compare rows, and count comparisons and visits in the write of their scores.

    Parameters
    ----------
    job
        The job that writes the scores.
    rows
        As :func:`~transforms.score.compare.compare` takes them.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    carrier
        How rows are brought together.

    Returns
    -------
    Observed
        Rows of the table ``scores``, and the counts ``comparisons`` and ``probes``.
    """
    partial = compare(rows, comparison, scope, carrier)
    sums = [F.sum(name).alias(name) for name in (COMPARISONS, PROBES)]
    counted = observe(job, partial, *sums)
    return Observed(merge(counted.rows, comparison, carrier), counted.observation)
