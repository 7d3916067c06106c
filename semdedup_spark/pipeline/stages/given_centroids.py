"""Find and check the centroids of ``cluster.centroids``, which another run trained."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, MixedEncodersError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.named_table import NamedTable
from semdedup_spark.tables.states import mark_at

_COLUMNS = (s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS, s.CELL_ID, s.MODEL_VERSION)


def check_encoder(job: Job, made_with: str) -> None:
    """Check, before anything is embedded, that given centroids are of this job's encoder. Without
    ``cluster.centroids`` there is nothing to check.

    Parameters
    ----------
    job
        The job.
    made_with
        Identity of the job's encoder.

    Raises
    ------
    MixedEncodersError
        The centroids are of another encoder, or do not say of which.
    """
    named = given_table(job)
    if named is None:
        return
    version = named.newest_version(job.spark)
    mark = mark_at(job.spark, named.root, named.table, version)
    if mark is None or not mark.made_with:
        raise MixedEncodersError(
            f"cluster.centroids must say which encoder they are of. Version {version} of "
            f"{named.root.name(named.table)} does not.",
            hint="it must be a table centroids of this package, with its history, which Delta "
            "keeps for 30 days: name a newer version, or train it again with `semdedup cluster` "
            "where it comes from.",
        )
    if mark.made_with != made_with:
        raise MixedEncodersError(
            f"cluster.centroids must be of the encoder that makes the embeddings, {made_with}. "
            f"They are of {mark.made_with}.",
            hint="use the embed settings that they were trained with, or leave out the key.",
        )


def given_table(job: Job) -> NamedTable | None:
    """Return the table that ``cluster.centroids`` names.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    NamedTable | None
        ``None`` where the key is not set.
    """
    name = job.config.cluster.centroids
    return None if name is None else NamedTable.parse(name)


def given_centroids(job: Job, named: NamedTable, version: int, dimension: int) -> DataFrame:
    """Read given centroids.

    Release 0.1 wrote statistics of the scored clusters into the same table. These columns are left
    out.

    Parameters
    ----------
    job
        The job.
    named
        The table.
    version
        Its Delta version.
    dimension
        Length of an embedding.

    Returns
    -------
    DataFrame
        Rows of ``centroids``.

    Raises
    ------
    ConfigError
        The table has no rows, lacks a column, or has centroids of another length.
    """
    table = read_table(job.spark, named.root, named.table, version)
    missing = [name for name in _COLUMNS[:3] if name not in table.columns]
    row = None if missing else table.select(F.size(s.CENTROID)).first()
    if row is None:
        raise ConfigError(
            f"cluster.centroids must have rows with the columns {', '.join(_COLUMNS[:3])}. "
            f"{named.root.name(named.table)} has {', '.join(table.columns)}."
        )
    if int(row[0]) != dimension:
        raise ConfigError(
            f"cluster.centroids must have as many numbers as an embedding, {dimension}. "
            f"They have {int(row[0])}."
        )
    null = {s.CELL_ID: F.lit(None).cast("int"), s.MODEL_VERSION: F.lit("").alias(s.MODEL_VERSION)}
    own = [F.col(name) if name in table.columns else null[name].alias(name) for name in _COLUMNS]
    return table.select(*own)
