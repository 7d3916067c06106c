"""Settings for tables of few files, as those of an output are."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

# What Spark and Delta take where nobody has set anything, and what suits tables of few files.
_SETTINGS = {
    # Tasks by which Delta reads the log of a table.
    "spark.databricks.delta.snapshotPartitions": ("50", "8"),
    # Tasks by which VACUUM lists the folders of a table.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": ("10000", "256"),
}


def suit_small_tables(session: SparkSession) -> None:
    """Let a session read and tidy small tables by few tasks: by the numbers of Spark and Delta,
    VACUUM takes half a minute a table, and each step of a run seconds more. Other numbers, which
    somebody has set, stay.

    Parameters
    ----------
    session
        A session that was just opened for this program: it is changed.
    """
    for name, (usual, few) in _SETTINGS.items():
        try:
            if session.conf.get(name, usual) == usual:
                session.conf.set(name, few)
        except PySparkException:  # serverless compute lets nobody set it; it works all the same
            continue
