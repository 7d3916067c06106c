"""The rank order of a job, checked against the source, and its terms beside the embeddings."""

from __future__ import annotations

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import all_rows_as_embedded, rows_as_embedded
from semdedup_spark.pipeline.stages.embed.source_changes import rank_identity
from semdedup_spark.rank_by import BUILT_IN
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.score.rank_key import check_rank_by, with_terms


def check_order(job: Job, embed: StageRecord) -> None:
    """Check that the order can rank the embedded rows. A :class:`ConfigError` says why it cannot.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    """
    state = job.state(s.EMBEDDINGS)
    order = "" if state is None else state.mark.rows.order
    if job.config.score.rank_by not in BUILT_IN and not _has_terms(job, embed, order):
        own = rows_as_embedded(job, s.EMBEDDINGS, embed).select(f"{s.SOURCE}.*")
        check_rank_by(own, job.config.score.rank_by)


def ranked(job: Job, embed: StageRecord, order: str) -> DataFrame:
    """Read the embeddings with all that the order needs.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    order
        Identity of the order whose terms the table has, see :func:`rank_identity`.

    Returns
    -------
    DataFrame
        The table ``embeddings``. Terms of another order are replaced.
    """
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
    rank_by = job.config.score.rank_by
    if rank_by in BUILT_IN or _has_terms(job, embed, order):
        return embeddings
    others = embeddings.drop(s.RANK_TERMS)
    if s.SOURCE in embeddings.columns:
        return others
    terms = with_terms(all_rows_as_embedded(job, embed), rank_by, [s.ID])
    return others.join(terms, s.ID)


def _has_terms(job: Job, embed: StageRecord, order: str) -> bool:
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
    return s.RANK_TERMS in embeddings.columns and order == rank_identity(job.config.score.rank_by)
