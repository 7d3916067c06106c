"""``embeddings`` and ``centroids`` to ``scores``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import ProbeBudget, ScoreConfig
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.packing import plan_units
from semdedup_spark.kernels.planning import cheaper_all_with_all, expected_probes
from semdedup_spark.kernels.spreading import partition_keys
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.stages import Job, StageResult, require_stage, run_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import Commit, CommitMark, replace_table
from semdedup_spark.transforms.clustering import centroid_matrix, sample_rows, with_statistics
from semdedup_spark.transforms.ranking import check_rank_by
from semdedup_spark.transforms.routing import Probing, Routing, route_rows
from semdedup_spark.transforms.scoring import COMPARISONS, PROBES, compare_units, merge_units
from semdedup_spark.transforms.selection import certified_shares
from semdedup_spark.transforms.surveying import survey_borders

# A unit needs its vectors, a copy in rank order and the products of a block pair.
_COPIES_IN_UNIT = 3
_UNITS_IN_TASK = 8
_USUAL_TASKS = 200
_SURVEY_ROWS = 20_000
_SURVEY_PRODUCTS = 4 * 10**8
_SURVEY_SEED = 7


def run_score(
    job: Job, embed: StageRecord | None = None, cluster: StageRecord | None = None
) -> StageRecord:
    """``embeddings`` and ``centroids`` to ``scores``."""
    settings = job.config.score
    if embed is None:  # else the stage embed has just checked the order
        embed = require_stage(job, "embed", embed_settings(job.config))
        own = read_table(job.spark, job.root, s.EMBEDDINGS).select(f"{s.SOURCE}.*")
        check_rank_by(own, settings.rank_by)
    cluster = cluster or require_stage(job, "cluster", job.config.cluster.identity())
    n = embed.counts["embedded"]

    def compute(key: str) -> StageResult:
        embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        centroids = read_table(job.spark, job.root, s.CENTROIDS)
        routing = plan_routing(embeddings, centroids, settings, n)
        mark = CommitMark(job.run_id, "score", key)
        commit, counts = _write_scores(job, embeddings, routing, mark)
        if commit.rows != n:
            raise ReconciliationError(
                f"every embedding must be scored once. {n} became {commit.rows}."
            )
        scores = read_table(job.spark, job.root, s.SCORES, commit.version)
        measured = replace_table(
            with_statistics(centroids, scores).coalesce(1), job.root, s.CENTROIDS, mark
        )
        return StageResult(
            outputs={s.SCORES: commit.version, s.CENTROIDS: measured.version},
            counts={"rows": n, "units": routing.plan.n_units, **counts},
            metrics=_certified(scores, settings.eps_max) if routing.probing else {},
        )

    inputs = {s.EMBEDDINGS: embed.result_key, s.CENTROIDS: cluster.result_key}
    return run_stage(job, "score", settings.identity(), inputs, compute)


def plan_routing(
    embeddings: DataFrame, centroids: DataFrame, settings: ScoreConfig, n: int
) -> Routing:
    """Decide which clusters share a unit, and which are cut, before anything is compared."""
    matrix, sizes = clusters(centroids, n)
    probing, probes, all_with_all = probing_of(settings), None, False
    if probing is not None:
        survey = survey_borders(survey_sample(embeddings, n, matrix), matrix, [probing])
        probes = expected_probes(survey.probes[0], sizes, survey.n_rows)
        all_with_all = cheaper_all_with_all(sizes, probes)
    if all_with_all:
        sizes, probes = np.array([float(n)]), None
    plan = plan_units(sizes, unit_rows=rows_in_unit(settings, matrix), probes=probes)
    n_tasks = tasks(embeddings.sparkSession, plan.n_units)
    keys = partition_keys(plan.n_units, n_tasks)
    return Routing(matrix, plan, keys, n_tasks, settings.rank_by, probing, all_with_all)


def clusters(centroids: DataFrame, n: int) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """((k, d) centroids, (k,) their sizes among n rows, estimated from the training sample)."""
    rows = sorted(centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS).collect())  # k rows
    sample = np.array([row[2] for row in rows], dtype=np.float64)
    return centroid_matrix([(row[0], row[1]) for row in rows]), sample * n / max(sample.sum(), 1)


def survey_sample(embeddings: DataFrame, n: int, centroids: FloatArray) -> DataFrame:
    """Some thousand rows, fewer where there are many clusters to compare each with."""
    wanted = min(_SURVEY_ROWS, _SURVEY_PRODUCTS // len(centroids))
    return sample_rows(embeddings, min(1.0, wanted / n), _SURVEY_SEED)


def probing_of(settings: ScoreConfig) -> Probing | None:
    """How far rows visit other clusters; ``None`` for the paper's way, not at all."""
    if settings.recall == "cluster":
        return None
    budget = settings.recall.probes if isinstance(settings.recall, ProbeBudget) else None
    return Probing(settings.eps_max, budget)


def rows_in_unit(settings: ScoreConfig, centroids: FloatArray) -> int:
    """Most vectors that fit in the memory of a unit."""
    return max(
        2, settings.unit_memory_mb * 2**20 // (4 * int(centroids.shape[1]) * _COPIES_IN_UNIT)
    )


def tasks(spark: SparkSession, n_units: int) -> int:
    """Spark tasks for so many units: a few units each, as starting a task is not free, and no fewer
    tasks than the session shuffles into. Where a unit is computed changes no result.
    """
    setting = spark.conf.get("spark.sql.shuffle.partitions") or ""
    shuffled = int(setting) if setting.isdigit() else _USUAL_TASKS  # Databricks also knows "auto"
    return min(n_units, max(shuffled, -(-n_units // _UNITS_IN_TASK)))


def _write_scores(
    job: Job, embeddings: DataFrame, routing: Routing, mark: CommitMark
) -> tuple[Commit, dict[str, int]]:
    settings = job.config.score
    packed = route_rows(embeddings, routing, seed=settings.seed)
    half = settings.precision == "float16"
    partial = compare_units(packed, routing, device=settings.device, half=half)
    several, totals = routing.plan.has_tiles or routing.probing is not None, Observation()
    # A write to a named table is a command within a command, in which Spark 4.1 loses what was
    # observed, and asking for it then fails: the ledger has these two counts for path outputs only.
    observed = () if job.root.is_catalog else (COMPARISONS, PROBES)
    if observed:
        partial = partial.observe(totals, *(F.sum(name).alias(name) for name in observed))
    commit = replace_table(merge_units(partial, several=several), job.root, s.SCORES, mark)
    return commit, {name: int(totals.get[name] or 0) for name in observed}


def _certified(scores: DataFrame, eps_max: float) -> dict[str, float]:
    row = certified_shares(scores, eps_max).first()
    return {} if row is None else {name: float(row[name]) for name in row.asDict()}
