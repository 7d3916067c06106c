"""A whole job: the four stages in order, and the books balanced."""

from __future__ import annotations

from dataclasses import dataclass

from semdedup_spark.pipeline.cluster import run_cluster
from semdedup_spark.pipeline.embed import run_embed
from semdedup_spark.pipeline.score import run_score
from semdedup_spark.pipeline.select import run_select
from semdedup_spark.pipeline.stages import Job
from semdedup_spark.tables.runs import StageRecord


@dataclass(frozen=True)
class JobSummary:
    """What a whole job did. ``kept`` + ``removed`` + ``quarantined`` = ``read``."""

    read: int
    kept: int
    removed: int
    quarantined: int
    eps: float
    records: tuple[StageRecord, ...]


def preview_job(job: Job) -> tuple[StageRecord, ...]:
    """What a dry run finds: of each stage whether it would be reused, and why. The source is looked
    at; nothing is written.
    """
    embed = run_embed(job)
    cluster = run_cluster(job, embed)
    score = run_score(job, embed, cluster)
    return embed, cluster, score, run_select(job, embed, score)


def run_job(job: Job) -> JobSummary:
    """All four stages, each computed or reused, and the books balanced."""
    embed = run_embed(job)
    cluster = run_cluster(job, embed)
    score = run_score(job, embed, cluster)
    select = run_select(job, embed, score)
    job.ledger.flush()
    counts = select.counts
    return JobSummary(
        read=counts["read"],
        kept=counts["kept"],
        removed=counts["removed"],
        quarantined=counts["quarantined"],
        eps=select.metrics["eps"],
        records=(embed, cluster, score, select),
    )
