"""``embeddings`` to ``centroids``."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import SemDedupError
from semdedup_spark.kernels.planning import plan_training
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.stages import Job, StageResult, require_stage, run_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import CommitMark, replace_table
from semdedup_spark.transforms.clustering import (
    Training,
    centroid_rows,
    count_vectors,
    fit_centroids,
    sample_rows,
)


def run_cluster(job: Job, embed: StageRecord | None = None) -> StageRecord:
    """Train on a sample of ``embeddings``; ``embed``: its record, looked up if not given."""
    embed = embed or require_stage(job, "embed", embed_settings(job.config))
    inputs = {s.EMBEDDINGS: embed.result_key}

    def compute(key: str) -> StageResult:
        rows = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        return _train(job, rows.select(s.ID, s.EMBEDDING), embed.counts, key)

    return run_stage(job, "cluster", job.config.cluster.identity(), inputs, compute)


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
