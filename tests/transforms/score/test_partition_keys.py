import numpy as np
import pytest
from pyspark.sql import functions as F

from semdedup_spark.kernels.score.partition_keys import partition_keys, spark_hash


def test_the_hash_is_the_one_spark_partitions_by(spark):
    values = [0, 1, -1, 42, 2**31 - 1, -(2**31), 123456789]
    rows = spark.createDataFrame([(v,) for v in values], "v int").select("v", F.hash("v")).collect()
    ours = spark_hash(np.array([row[0] for row in rows], dtype=np.int32))
    assert ours.tolist() == [row[1] for row in rows]


def test_every_partition_gets_its_share_of_units(spark):
    keys = partition_keys(23, 10)
    frame = spark.createDataFrame([(i, int(key)) for i, key in enumerate(keys)], "i int, unit int")
    placed = frame.repartition(10, "unit").select("i", F.spark_partition_id()).collect()
    assert {row[0]: row[1] for row in placed} == {i: i % 10 for i in range(23)}


@pytest.mark.parametrize(("n", "parts"), [(1, 1), (64, 64), (1000, 7), (25_000, 10_000)])
def test_keys_are_different_and_even(n, parts):
    keys = partition_keys(n, parts)
    assert len(np.unique(keys)) == n
    counts = np.bincount(spark_hash(keys).astype(np.int64) % parts, minlength=parts)
    assert counts.max() - counts.min() <= 1
