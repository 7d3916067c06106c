"""Compares the rows of a job as planned, and counts what was compared."""

from __future__ import annotations

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from semdedup_spark.pipeline.stage_runner import Job
from semdedup_spark.transforms.score.compare import compare, merge
from semdedup_spark.transforms.score.compare_units import COMPARISONS, PROBES
from semdedup_spark.transforms.score.comparison import Carrier, Comparison, Scope


def scored(
    job: Job, rows: DataFrame, comparison: Comparison, scope: Scope, carrier: Carrier
) -> tuple[DataFrame, Observation]:
    """(the rows of ``scores``, what is seen when they are written)."""
    partial = compare(rows, comparison, scope, carrier)
    totals = Observation()
    # A write to a named table is a command within a command, in which Spark 4.1 loses what was
    # observed, and asking for it then fails: the ledger has these two counts for path outputs only.
    if not job.root.is_catalog:
        sums = [F.sum(name).alias(name) for name in (COMPARISONS, PROBES)]
        partial = partial.observe(totals, *sums)
    return merge(partial, comparison, carrier), totals


def observed(job: Job, totals: Observation) -> dict[str, int]:
    """What was compared, after the scores were written."""
    if job.root.is_catalog:
        return {}
    return {name: int(totals.get[name] or 0) for name in (COMPARISONS, PROBES)}
