"""From a sample: how uneven clusters are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.size_curve import USUAL, SizeCurve, survey_sizes
from semdedup_spark.transforms.arrow import to_matrix
from semdedup_spark.transforms.courier import collect_parcel, map_to_parcels, to_parcel


def survey_clusters(sample: DataFrame, seed: int) -> SizeCurve:
    """Measure how uneven clusters of these rows are. Runs one Spark job, in one task.

    Parameters
    ----------
    sample
        Columns id and embedding; some thousand rows.
    seed
        Seed of the training.

    Returns
    -------
    SizeCurve
        Imbalance by number of clusters. Without rows the usual one.
    """

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        table = pa.Table.from_batches(batches)
        curve = survey_sizes(to_matrix(table.column(s.EMBEDDING)), seed) if len(table) else USUAL
        relative = [curve.p99, curve.largest]
        yield to_parcel(k=curve.n_clusters, imbalance=curve.imbalance, relative=relative)

    one_task = sample.select(s.ID, s.EMBEDDING).repartition(1).sortWithinPartitions(s.ID)
    found = collect_parcel(map_to_parcels(one_task, task))
    k, imbalance, relative = (found[name].tolist() for name in ("k", "imbalance", "relative"))
    return SizeCurve(tuple(k), tuple(imbalance), *relative)
