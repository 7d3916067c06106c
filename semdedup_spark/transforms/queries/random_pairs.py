"""The similarity of random pairs of rows, from a small sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.statistics.random_pairs import background_of
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.cluster.fit import sample_rows

_ROWS = 1000
_SEED = 11


def background_similarity(embeddings: DataFrame, n: int) -> DataFrame:
    """One row (mean, p999, n_pairs), or none where all rows are equal: of the pairs of about 1,000
    of the ``n`` rows, chosen by a hash of their ids.
    """
    sample = sample_rows(embeddings.select(s.ID, s.EMBEDDING), min(1.0, _ROWS / max(n, 1)), _SEED)

    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = [to_matrix(batch.column(s.EMBEDDING)) for batch in batches if batch.num_rows]
        found = background_of(np.concatenate(parts)) if parts else None
        if found is not None:
            columns = [pa.array([value]) for value in astuple(found)]
            yield pa.RecordBatch.from_arrays(columns, names=["mean", "p999", "n_pairs"])

    one_task = sample.select(s.EMBEDDING).repartition(1)  # the scan stays parallel
    return map_batches(one_task, measure, "mean double, p999 double, n_pairs bigint")
