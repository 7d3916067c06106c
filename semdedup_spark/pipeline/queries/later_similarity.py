"""The similarity of rows to those that rank after them, for ``tune --both-sides``."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.compare_plan import plan
from semdedup_spark.pipeline.stages.compare_settings import trained
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.pipeline.stages.score import require_score
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.score.compare import compare
from semdedup_spark.transforms.score.comparison import Everyone


def later_similarity(job: Job) -> DataFrame:
    """Compare rows with those that rank after them, as the scores were made.

    Parameters
    ----------
    job
        The job. The stage score must have run: :class:`StageOrderError` otherwise.

    Returns
    -------
    DataFrame
        Columns id and max_similarity, any number of lines a row.

    Raises
    ------
    ConfigError
        If rows are compared with a reference.
    """
    settings = job.config.score
    if job.config.reference is not None:
        raise ConfigError(
            "rows ranked after a row are compared only without a reference: its rows rank before.",
            hint="leave out --both-sides: the share of rows with a duplicate is that removed.",
        )
    embed = require_embed(job)
    require_score(job)
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
    centroids = read_table(job.spark, job.root, s.CENTROIDS)
    n = embed.counts["embedded"]
    clusters = trained(centroids).estimated_clusters(n)
    comparison, carrier = plan(embeddings, clusters, settings, Everyone(n), backwards=True)
    later = compare(embeddings, comparison, Everyone(n), carrier)
    return later.filter(F.col(s.ID).isNotNull()).select(s.ID, s.MAX_SIMILARITY)
