"""Tables without rows, which the stages write where ``embeddings`` has no rows."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.errors import PermanentError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import StageResult
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.score.rank_key import rank_key_type

_NO_CENTROIDS = "no centroids"


def is_emptied(job: Job, embed: StageRecord) -> bool:
    """Tell whether there are no rows to work on.

    Parameters
    ----------
    job
        The job. With ``allow_empty`` all rows may be in quarantine.
    embed
        Record of the stage embed.

    Returns
    -------
    bool
        Whether ``embeddings`` has no rows.

    Raises
    ------
    PermanentError
        Rows were read, and all of them are in quarantine.
    """
    counts = embed.counts
    if counts.get("embedded", 1):
        return False
    if counts["read"] and not job.allow_empty:
        raise PermanentError(
            f"at least one row must have an embedding. {counts['read']} rows were read, and "
            f"{counts['quarantined']} are in quarantine.",
            hint=f"SELECT reason, count(*) FROM {job.root.name(s.QUARANTINE)} GROUP BY reason",
        )
    return True


def no_centroids(job: Job, mark: StageMark) -> StageResult:
    """Write ``centroids`` without rows.

    Parameters
    ----------
    job
        The job.
    mark
        Mark of the commit.

    Returns
    -------
    StageResult
        Result of the stage cluster.
    """
    mark = replace(mark, content=_NO_CENTROIDS)
    commit = replace_table(_no_rows(job, s.CENTROIDS_DDL), job.root, s.CENTROIDS, mark)
    counts = {"rows": 0, "sample_rows": 0, "n_clusters": 0}
    return StageResult(outputs={s.CENTROIDS: commit.version}, counts=counts)


def no_scores(job: Job, mark: StageMark) -> StageResult:
    """Write ``scores`` and ``clusters`` without rows.

    Parameters
    ----------
    job
        The job.
    mark
        Mark of the commit.

    Returns
    -------
    StageResult
        Result of the stage score.
    """
    columns = s.scores_ddl(_id_type(job), rank_key_type(job.config.score.rank_by))
    scores = replace_table(_no_rows(job, columns), job.root, s.SCORES, mark)
    mark = StageMark(job.run_id, "score", mark.result_key)
    clusters = replace_table(_no_rows(job, s.CLUSTERS_DDL), job.root, s.CLUSTERS, mark)
    outputs = {s.SCORES: scores.version, s.CLUSTERS: clusters.version}
    return StageResult(outputs=outputs, counts={"rows": 0, "units": 0})


def no_pruning(job: Job) -> DataFrame:
    """Make a table ``pruning`` without rows.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    DataFrame
        All columns of ``pruning``, and no row.
    """
    return _no_rows(job, s.pruning_ddl(_id_type(job)))


def _no_rows(job: Job, columns: str) -> DataFrame:
    return job.spark.createDataFrame([], columns)


def _id_type(job: Job) -> str:
    schema = read_table(job.spark, job.root, s.EMBEDDINGS).schema
    return schema[s.ID].dataType.simpleString()
