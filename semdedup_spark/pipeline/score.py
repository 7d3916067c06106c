"""``embeddings`` and ``centroids`` to ``scores``."""

from __future__ import annotations

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.packing import plan_units
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.stages import Job, StageResult, require_stage, run_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import CommitMark, replace_table
from semdedup_spark.transforms.clustering import centroid_matrix, with_statistics
from semdedup_spark.transforms.routing import route_rows
from semdedup_spark.transforms.scoring import score_rows

# A unit needs its vectors, a copy in rank order and the products of a block pair.
_COPIES_IN_UNIT = 3


def run_score(
    job: Job, embed: StageRecord | None = None, cluster: StageRecord | None = None
) -> StageRecord:
    """``embeddings`` and ``centroids`` to ``scores``."""
    embed = embed or require_stage(job, "embed", embed_settings(job.config))
    cluster = cluster or require_stage(job, "cluster", job.config.cluster.identity())
    settings = job.config.score

    def compute(key: str) -> StageResult:
        embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        centroids = read_table(job.spark, job.root, s.CENTROIDS)
        model = centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS).collect()  # k rows
        matrix = centroid_matrix([(row[0], row[1]) for row in model])
        n, (k, d) = embed.counts["embedded"], matrix.shape
        scale = n / max(sum(row[2] for row in model), 1)
        unit_rows = max(2, settings.unit_memory_mb * 2**20 // (4 * d * _COPIES_IN_UNIT))
        sizes = [row[2] * scale for row in sorted(model)]
        plan = plan_units(sizes, unit_rows=unit_rows)
        packed = route_rows(embeddings, matrix, plan, rank_by=settings.rank_by, seed=settings.seed)
        scored = score_rows(
            packed,
            dimension=d,
            n_units=plan.n_units,
            has_tiles=plan.has_tiles,
            rank_by=settings.rank_by,
        ).withColumn(s.EXHAUSTIVE, F.lit(k == 1))
        mark = CommitMark(job.run_id, "score", key)
        commit = replace_table(scored, job.root, s.SCORES, mark)
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
            counts={"rows": n, "units": plan.n_units},
        )

    inputs = {s.EMBEDDINGS: embed.result_key, s.CENTROIDS: cluster.result_key}
    return run_stage(job, "score", settings.identity(), inputs, compute)
