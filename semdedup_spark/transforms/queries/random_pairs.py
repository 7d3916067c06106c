"""The similarity of random pairs of rows, from a small sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.statistics.random_pairs import Background, background_of
from semdedup_spark.transforms.arrow import to_matrix
from semdedup_spark.transforms.cluster.sample import sample_rows
from semdedup_spark.transforms.courier import collect_parcel, map_to_parcels, to_parcel

_ROWS = 1000
_SEED = 11


def background_similarity(embeddings: DataFrame, n: int) -> Background | None:
    """Measure how similar random rows are. Runs one Spark job, in one task.

    Looks at all pairs of about 1,000 rows, which a hash of their ids chooses.

    Parameters
    ----------
    embeddings
        Columns id and embedding.
    n
        Number of rows.

    Returns
    -------
    Background | None
        The similarities, ``None`` if all rows are equal.
    """
    sample = sample_rows(embeddings.select(s.ID, s.EMBEDDING), min(1.0, _ROWS / max(n, 1)), _SEED)

    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        parts = [to_matrix(batch.column(s.EMBEDDING)) for batch in batches if batch.num_rows]
        found = background_of(np.concatenate(parts)) if parts else None
        yield to_parcel() if found is None else to_parcel(**vars(found))

    one_task = sample.select(s.EMBEDDING).repartition(1)  # the scan stays parallel
    found_there = collect_parcel(map_to_parcels(one_task, measure))
    if not found_there:
        return None
    mean, p999, n_pairs = (found_there[name].item() for name in ("mean", "p999", "n_pairs"))
    return Background(mean, p999, n_pairs)
