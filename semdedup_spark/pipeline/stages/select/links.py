"""All pairs of similar rows, for the rule that keeps one row of each connected component."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.compare_plan import plan
from semdedup_spark.pipeline.stages.compare_settings import trained
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.score.comparison import Everyone
from semdedup_spark.transforms.score.route import route_rows
from semdedup_spark.transforms.select.components import link_units


def links_above(job: Job, embed: StageRecord, embeddings: DataFrame, eps: float) -> DataFrame:
    """Compare rows as for the scores, but look only for pairs above ``1 - eps``.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    embeddings
        The table of this name.
    eps
        The removal threshold.

    Returns
    -------
    DataFrame
        Columns id and other, one row for each pair.
    """
    settings, n = job.config.score, embed.counts["embedded"]
    if not n:  # there are no centroids either
        return embeddings.select(s.ID, F.col(s.ID).alias("other"))
    # Any rank order will do: links have no direction, and the scores decide later who is first.
    update: dict[str, Any] = {"rank_by": "random", "device": "cpu"}
    if settings.recall == "exact":
        update["eps_max"] = eps
    settings = settings.model_copy(update=update)
    centroids = read_table(job.spark, job.root, s.CENTROIDS)
    scope, clusters = Everyone(n), trained(centroids).estimated_clusters(n)
    comparison, units = plan(embeddings, clusters, settings, scope)
    packed = route_rows(embeddings, comparison, scope, units)
    return link_units(packed, clusters.dimension, units.n_tasks, eps)
