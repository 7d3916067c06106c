"""How the rows of a job are compared: planned, and by its settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from semdedup_spark.config import ScoreConfig
from semdedup_spark.kernels.score.cost import cheaper_all_with_all, expected_probes
from semdedup_spark.kernels.score.partition_keys import partition_keys
from semdedup_spark.kernels.score.unit_plan import plan_units
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.compare_settings import (
    clusters,
    probing_of,
    survey_sample,
    tasks,
)
from semdedup_spark.transforms.score.compare_broadcast import compare_sent
from semdedup_spark.transforms.score.compare_units import (
    COMPARISONS,
    PROBES,
    compare_units,
    merge_units,
)
from semdedup_spark.transforms.score.route import Routing, route_rows
from semdedup_spark.transforms.score.survey import survey_borders


def plan_routing(
    embeddings: DataFrame, centroids: DataFrame, settings: ScoreConfig, n: int
) -> Routing:
    """Decide, before anything is compared, which clusters share a unit, and which are cut."""
    source, sizes = clusters(centroids, n)
    unit_rows = settings.unit_rows(source.dimension)
    probing, probes, all_with_all = probing_of(settings), None, False
    if probing is not None:
        survey = survey_borders(survey_sample(embeddings, n, source), source, [probing])
        probes = expected_probes(survey.probes[0], sizes, survey.n_rows)
        all_with_all = probing.budget is None and cheaper_all_with_all(sizes, probes, unit_rows)
    if all_with_all:
        sizes, probes = np.array([float(n)]), None
    plan = plan_units(sizes, unit_rows=unit_rows, probes=probes)
    n_tasks = tasks(embeddings.sparkSession, plan.n_units)
    keys = partition_keys(plan.n_units, n_tasks)
    return Routing(source, plan, keys, n_tasks, settings.rank_by, probing, all_with_all)


def compared(job: Job, rows: DataFrame, routing: Routing, *, backwards: bool = False) -> DataFrame:
    """What :func:`compare_units` finds, by the job's settings."""
    settings = job.config.score
    routing = replace(routing, device=settings.device)
    half = settings.precision == "float16"
    if routing.sent is not None:
        unit_rows = settings.unit_rows(routing.centroids.dimension)
        return compare_sent(rows, routing, seed=settings.seed, unit_rows=unit_rows, half=half)
    packed = route_rows(rows, routing, seed=settings.seed)
    return compare_units(packed, routing, half=half, backwards=backwards)


def scored(job: Job, rows: DataFrame, routing: Routing) -> tuple[DataFrame, Observation]:
    """(the rows of ``scores``, what is seen when they are written)."""
    partial = compared(job, rows, routing)
    several = routing.plan.has_tiles or routing.probing is not None or routing.sent is not None
    totals = Observation()
    # A write to a named table is a command within a command, in which Spark 4.1 loses what was
    # observed, and asking for it then fails: the ledger has these two counts for path outputs only.
    if not job.root.is_catalog:
        sums = [F.sum(name).alias(name) for name in (COMPARISONS, PROBES)]
        partial = partial.observe(totals, *sums)
    return merge_units(partial, several=several), totals


def observed(job: Job, totals: Observation) -> dict[str, int]:
    """What was compared, after the scores were written."""
    if job.root.is_catalog:
        return {}
    return {name: int(totals.get[name] or 0) for name in (COMPARISONS, PROBES)}
