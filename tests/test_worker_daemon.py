"""Python workers of a local session search no archives of Spark, and still find everything."""

from __future__ import annotations

import gc
import sys

from semdedup_spark.session.worker_daemon import without_archives


def test_archives_of_spark_are_dropped_and_those_of_users_stay():
    mine = ["", "/lib/python3.11", "/job/py4j-tools.zip", "/job/mine.zip", "/job/more.jar"]
    spark = [
        "/spark/python/lib/pyspark.zip",
        "/spark/python/lib/py4j-0.10.9.9-src.zip",
        "/spark/jars/spark-core_2.13-4.1.1.jar",
    ]
    assert without_archives([mine[0], *spark, *mine[1:]]) == mine


def test_a_worker_of_a_local_session_searches_no_archive_of_spark(spark):
    def looked_up(batches):
        import pyspark

        for batch in batches:
            yield batch.assign(
                path="\n".join(sys.path), frozen=gc.get_freeze_count(), home=pyspark.__file__
            ).head(1)

    frame = spark.range(1, numPartitions=1)
    told = frame.mapInPandas(looked_up, "id long, path string, frozen long, home string").first()
    assert without_archives(told.path.split("\n")) == told.path.split("\n")
    assert told.frozen > 10_000
    assert ".zip" not in told.home
