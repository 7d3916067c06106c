"""From a sample: how uneven clusters are, and how many rows will visit each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.size_curve import USUAL, SizeCurve, survey_sizes
from semdedup_spark.transforms.arrow import map_batches, to_matrix


def survey_clusters(sample: DataFrame, seed: int) -> SizeCurve:
    """How uneven clusters of these rows are. Runs one Spark job, in one task. ``sample``: id,
    embedding; some thousand rows.
    """

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(batches)
        curve = survey_sizes(to_matrix(table.column(s.EMBEDDING)), seed) if len(table) else USUAL
        columns = [
            pa.array([curve.n_clusters], pa.list_(pa.int32())),
            pa.array([curve.imbalance], pa.list_(pa.float64())),
            pa.array([[curve.p99, curve.largest]], pa.list_(pa.float64())),
        ]
        yield pa.RecordBatch.from_arrays(columns, names=["k", "imbalance", "relative"])

    one_task = sample.select(s.ID, s.EMBEDDING).repartition(1).sortWithinPartitions(s.ID)
    schema = "k array<int>, imbalance array<double>, relative array<double>"
    row = map_batches(one_task, task, schema).first()
    if row is None:
        raise RuntimeError("the survey task returned nothing")
    return SizeCurve(tuple(row["k"]), tuple(row["imbalance"]), *row["relative"])
