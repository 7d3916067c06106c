"""``embeddings`` to ``centroids``."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import ClusterConfig
from semdedup_spark.errors import SemDedupError, StageOrderError
from semdedup_spark.kernels.planning import choose_n_clusters, plan_training
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.stages import Job, StageResult, require_stage, run_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import CommitMark, replace_table, table_state
from semdedup_spark.transforms.clustering import (
    Training,
    centroid_rows,
    count_vectors,
    fit_centroids,
    sample_rows,
)

# Names among the stage's inputs.
_ORIGIN, _TRAINED_ON = "origin", "trained_on"
# Times the cost with new centroids from which a run says so.
DRIFT_BOUND = 2.0


def run_cluster(job: Job, embed: StageRecord | None = None, *, afresh: bool = False) -> StageRecord:
    """Train on a sample of ``embeddings``; ``embed``: its record, looked up if not given.

    Centroids stay as new rows come, unless ``cluster.retrain`` says otherwise: old ones only cost
    time. ``afresh``: train in any case.
    """
    embed = embed or require_stage(job, "embed", embed_settings(job.config))
    inputs = _inputs(job, embed, afresh=afresh)

    def compute(key: str) -> StageResult:
        rows = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        return _train(job, rows.select(s.ID, s.EMBEDDING), embed.counts, key)

    return run_stage(job, "cluster", job.config.cluster.identity(), inputs, compute)


def _inputs(job: Job, embed: StageRecord, *, afresh: bool) -> dict[str, str]:
    """What the centroids depend on: the rows on which they were trained, or any of a table that
    grew from these.
    """
    if job.config.cluster.retrain == "on_change":
        return {s.EMBEDDINGS: embed.result_key}
    state = table_state(job.spark, job.root, s.EMBEDDINGS)
    origin = embed.result_key if state is None else state.mark.origin
    last, score = job.ledger.last("cluster"), job.ledger.last("score")
    trained_on = last.inputs.get(_TRAINED_ON, "") if last is not None else ""
    if last is None or last.inputs.get(_ORIGIN) != origin:
        trained_on = embed.result_key
    drifted = score is not None and score.metrics.get("cost_drift", 1.0) > DRIFT_BOUND
    if afresh or (job.config.cluster.retrain == "auto" and drifted):
        trained_on = embed.result_key
    return {_ORIGIN: origin, _TRAINED_ON: trained_on}


def require_centroids(job: Job) -> StageRecord:
    """The record of the stage; raises :class:`StageOrderError` where it must run first."""
    cluster = require_stage(job, "cluster", job.config.cluster.identity())
    state = table_state(job.spark, job.root, s.EMBEDDINGS)
    origin = cluster.inputs.get(_ORIGIN)
    if state is not None and origin is not None and origin != state.mark.origin:
        raise StageOrderError(
            "the output of stage cluster must be made from these embeddings. They have begun anew "
            "since.",
            hint="run `semdedup cluster` again, or `semdedup run`.",
        )
    return cluster


def cost_drift(settings: ClusterConfig, centroids: DataFrame) -> float:
    """How many times the comparisons within clusters, and the assignment, that new centroids would
    take. ``centroids``: after scoring.
    """
    row = centroids.agg(
        F.count(F.lit(1)).alias("k"),
        F.first(F.size(s.CENTROID)).alias("d"),
        F.sum(F.col(s.N_ROWS).cast("double")).alias("n"),
        F.sum(F.col(s.N_ROWS).cast("double") ** 2).alias("pairs"),
        F.sum(F.col(s.SAMPLE_ROWS).cast("double")).alias("sample"),
        F.sum(F.col(s.SAMPLE_ROWS).cast("double") ** 2).alias("sample_pairs"),
    ).first()
    if row is None or not row["n"] or not row["sample"]:
        return 1.0
    n, k = row["n"], row["k"]
    uneven = k * row["sample_pairs"] / row["sample"] ** 2
    wanted = settings.n_clusters
    if not isinstance(wanted, int):
        wanted = choose_n_clusters(int(n), row["d"], settings.sample_per_cluster)
    best = min(wanted, int(n))
    return float((row["pairs"] / 2 + n * k) / (uneven * n * n / best / 2 + n * best))


def _train(job: Job, rows: DataFrame, counts: dict[str, int], key: str) -> StageResult:
    settings, n = job.config.cluster, counts["embedded"]
    first = rows.select(F.size(s.EMBEDDING)).first()
    if first is None:
        raise SemDedupError(
            f"at least one row must have an embedding. {counts['read']} rows were read, and "
            f"{counts['quarantined']} are in quarantine.",
            hint=f"SELECT reason, count(*) FROM {job.root.name(s.QUARANTINE)} GROUP BY reason",
        )
    plan = plan_training(
        n,
        int(first[0]),
        n_clusters=settings.n_clusters if isinstance(settings.n_clusters, int) else None,
        sample_per_cluster=settings.sample_per_cluster,
        memory_mb=settings.sample_memory_mb,
    )
    sample = sample_rows(rows, plan.share, settings.seed)
    n_sample, n_distinct = count_vectors(sample)
    training = Training(settings.seed, settings.max_iterations, settings.tolerance)
    fitted = fit_centroids(sample, n_sample, min(plan.n_clusters, n_distinct), training)
    table = centroid_rows(job.spark.range(1), fitted, key).coalesce(1)
    commit = replace_table(table, job.root, s.CENTROIDS, CommitMark(job.run_id, "cluster", key))
    return StageResult(
        outputs={s.CENTROIDS: commit.version},
        counts={
            "rows": n,
            "sample_rows": n_sample,
            "n_clusters_wanted": plan.n_clusters,
            "n_clusters": len(fitted.centroids),
        },
        metrics={
            "objective": fitted.objective[-1],
            "iterations": float(len(fitted.objective) - 1),
        },
    )
