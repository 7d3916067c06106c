"""A whole job: the four stages in order, and its counts, which must add up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from semdedup_spark import schema as s
from semdedup_spark.pipeline.exclusive import exclusive, exclusive_once_begun
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.refresh import Basis, as_last_made, refresh_others
from semdedup_spark.pipeline.rows_as_embedded import all_rows_as_embedded
from semdedup_spark.pipeline.stages.cluster import run_cluster
from semdedup_spark.pipeline.stages.embed.embed import require_embed, run_embed, run_reference
from semdedup_spark.pipeline.stages.score import run_score
from semdedup_spark.pipeline.stages.select.kept import check_kept
from semdedup_spark.pipeline.stages.select.kept_clone import check_clones
from semdedup_spark.pipeline.stages.select.select import run_select
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import masked_repr


@masked_repr
@dataclass(frozen=True)
class JobSummary:
    """What a whole job did. ``kept`` + ``removed`` + ``quarantined`` = ``read``.

    Attributes
    ----------
    read
        Number of rows of the source.
    kept
        Number of rows in ``deduplicated``.
    removed
        Number of rows in ``duplicates``.
    quarantined
        Number of rows in ``quarantine``.
    eps
        The removal threshold that was used.
    records
        Records of the four stages, of the reference, if there is one, and of what else was made
        again.
    stale
        Tables that could not be made again, see
        :class:`~semdedup_spark.pipeline.refresh.Refreshed`.
    """

    read: int
    kept: int
    removed: int
    quarantined: int
    eps: float
    records: tuple[StageRecord, ...]
    stale: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        select: StageRecord,
        records: tuple[StageRecord, ...],
        stale: tuple[str, ...] = (),
    ) -> JobSummary:
        """Summarise a selection.

        Parameters
        ----------
        select
            Its record.
        records
            The records of all stages that were run, that one included.
        stale
            Tables that could not be made again.

        Returns
        -------
        JobSummary
            With the counts and the eps of the selection.
        """
        counts = {name: select.counts[name] for name in ("read", "kept", "removed", "quarantined")}
        return cls(**counts, eps=select.metrics["eps"], records=records, stale=stale)

    @property
    def cost_drift(self) -> float:
        """Cost of comparing rows now, relative to that with new centroids."""
        score = next((r for r in self.records if r.stage == "score"), None)
        return 1.0 if score is None else score.metrics.get("cost_drift", 1.0)


def preview_job(job: Job) -> tuple[StageRecord, ...]:
    """Find out what a run would do. The source is looked at; nothing is written, whatever
    ``job.dry_run`` says.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    tuple[StageRecord, ...]
        Of each stage whether it would be reused, and why.
    """
    job = replace(job, dry_run=True)
    check_kept(job)
    embed = run_embed(job)
    cluster = run_cluster(job, embed)
    score = run_score(job, embed, cluster, run_reference(job))
    return embed, cluster, score, run_select(job, embed, score)


@exclusive_once_begun
def run_job(job: Job) -> JobSummary:
    """Run all four stages, each computed or reused. Named selections and a pruning of other rows
    are made again.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    JobSummary
        What was done.
    """
    check_kept(job)
    embed, reference = run_embed(job), run_reference(job)
    return _from_centroids(job, embed, run_cluster(job, embed), reference)


@exclusive
def run_recluster(job: Job) -> JobSummary:
    """Train centroids on all rows of ``embeddings``, whatever ``cluster.retrain`` says, and score
    and select by them, with the settings that both were last made with.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    JobSummary
        What was done.
    """
    embed = require_embed(job)
    job = as_last_made(job, "score", "select")
    all_rows_as_embedded(job, embed)  # the selection needs them, and comes last
    check_clones(job, embed)
    reference = run_reference(job)
    return _from_centroids(job, embed, run_cluster(job, embed, afresh=True), reference)


def _from_centroids(
    job: Job, embed: StageRecord, cluster: StageRecord, reference: StageRecord | None
) -> JobSummary:
    score = run_score(job, embed, cluster, reference)
    select = run_select(job, embed, score)
    own = s.selection_stage(job.config.select.name)
    others = refresh_others(job, Basis(embed, cluster, score), but=own)
    made = (embed, cluster, score, select, *([reference] if reference else []), *others.records)
    return JobSummary.of(select, made, others.stale)
