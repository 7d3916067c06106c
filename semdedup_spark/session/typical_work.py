"""A little of everything that a job asks of Spark, so that Java loads the classes for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from semdedup_spark.session.spark_session import open_session


def work(spark: SparkSession, folder: str) -> None:
    """Write, read, join, order and describe small Delta tables.

    Parameters
    ----------
    spark
        The session.
    folder
        A folder for the tables.
    """
    table = f"{folder}/table"
    rows = spark.range(200).select(
        "id", F.array(F.lit(0.5), F.rand(1)).alias("v"), F.col("id").cast("string").alias("text")
    )
    for mode in ("append", "overwrite"):
        rows.write.format("delta").mode(mode).option("overwriteSchema", "true").save(table)
    rows.write.parquet(f"{folder}/parquet")
    spark.sql(f"DESCRIBE HISTORY delta.`{table}` LIMIT 1").collect()
    spark.sql(f"DESCRIBE DETAIL delta.`{table}`").select("id").collect()
    stored = spark.read.format("delta").load(table)
    number = F.row_number().over(Window.partitionBy(F.col("id") % 7).orderBy("text"))
    joined = stored.join(spark.read.parquet(f"{folder}/parquet"), "id", "left_anti")
    joined = joined.unionByName(stored.withColumn("n", number).filter("n < 5").drop("n"))

    def same(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    counted = joined.mapInArrow(same, joined.schema).groupBy("text").agg(F.count("*"))
    counted.orderBy("text").collect()


def main() -> None:
    """Do it. Java ends after this process, and writes its archive then."""
    spark = open_session()
    with tempfile.TemporaryDirectory() as folder:
        work(spark, folder)
    spark.stop()


if __name__ == "__main__":
    main()
