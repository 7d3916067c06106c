"""How many of the true duplicates of drawn rows were found: the rows are compared with all rows."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.audit import RecallAt, RecallAudit, Share
from semdedup_spark.kernels.statistics.intervals import wilson
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.selections import drawn
from semdedup_spark.pipeline.queries.tune import horizon_of
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.pipeline.stages.score import require_score
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.score.similar_pairs import FLOOR, similar_pairs

_TRUE = "true_similarity"
_N_THRESHOLDS = 10
# Similarities that differ by less are the same, computed otherwise.
_ROUNDING = 1e-6


def run_recall_audit(job: Job, n: int, seed: int = 0) -> RecallAudit:
    """Draw rows, compare each with every row that ranks before it, and see whether the scores know
    the most similar one. It needs a product of each drawn row with each row, and no shuffle of
    vectors.

    Parameters
    ----------
    job
        The job. The stage score must have run: :class:`StageOrderError` otherwise.
    n
        Number of rows, at most ``MOST_FEW``.
    seed
        Seed of the draw.

    Returns
    -------
    RecallAudit
        At each threshold how many duplicates there are among the drawn rows, and how many of them
        were found.
    """
    require_embed(job)
    require_score(job)
    horizon, _ = horizon_of(job)
    grid = [horizon * (i + 1) / _N_THRESHOLDS for i in range(_N_THRESHOLDS)]
    scores = read_table(job.spark, job.root, s.SCORES)
    few = held(drawn(scores, n, seed))
    both = few.join(_true_similarity(job, few, scores, horizon), s.ID, "left")
    found = F.col(s.MAX_SIMILARITY).cast("double")
    # What was found is a pair of two rows, so it is true as well.
    true = F.greatest(found, F.coalesce(F.col(_TRUE).cast("double"), F.lit(0.0)))
    counts = [
        F.struct(F.count_if(true > 1 - e), F.count_if(found > 1 - e)).alias(f"at{i}")
        for i, e in enumerate(grid)
    ]
    total = F.count(F.lit(1)).alias("n")
    (row,) = both.agg(total, F.count_if(s.EXHAUSTIVE).alias("certified"), *counts).collect()
    return RecallAudit(
        n_rows=int(row["n"]),
        n_certified=int(row["certified"]),
        eps_max=horizon,
        by_eps=[_at(e, row, i) for i, e in enumerate(grid)],
    )


def _at(eps: float, row: Row, i: int) -> RecallAt:
    n_true, n_found = (int(each) for each in row[f"at{i}"])
    share = Share(n_found / n_true, *wilson(n_found, n_true)) if n_true else None
    return RecallAt(eps, n_true, n_found, share)


def _true_similarity(job: Job, few: DataFrame, scores: DataFrame, eps: float) -> DataFrame:
    """(id, the highest similarity to an earlier row), where it is above the horizon and above what
    the scores know.
    """
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS)
    # Only a pair that is more similar than what is known can tell of a miss. That leaves few: of
    # rows in random order, about the logarithm of their number for each drawn row.
    floors = few.select(s.ID, (F.col(s.MAX_SIMILARITY) + _ROUNDING).alias(FLOOR))
    vectors = embeddings.join(F.broadcast(floors), s.ID)
    if job.config.reference is not None:
        pairs = similar_pairs(vectors, read_table(job.spark, job.root, s.REFERENCE), eps)
    else:
        near = similar_pairs(vectors, embeddings, eps)
        rank = F.struct(s.BATCH, s.RANK_KEY, s.ID)
        own = few.select(s.ID, rank.alias("own"))
        theirs = scores.select(F.col(s.ID).alias(s.SURVIVOR_ID), rank.alias("their"))
        ranked = near.join(own, s.ID).join(theirs, s.SURVIVOR_ID)
        pairs = ranked.filter(F.col("their") < F.col("own"))
    return pairs.groupBy(s.ID).agg(F.max(s.SIMILARITY).alias(_TRUE))
