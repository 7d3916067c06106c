"""All pairs of a few rows with any rows that are similar enough: brute force, in one pass.

It shares nothing with the scores but the definition of the cosine, so that it can check them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.settled_pairs import MOST_PRODUCTS, ROUNDING, settled_pairs
from semdedup_spark.kernels.vectors import FloatArray, float32_threshold
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.courier import collect_bytes, map_to_parcels

# Their vectors travel with every task.
MOST_FEW = 5_000
FLOOR = "floor"


def similar_pairs(few: DataFrame, rows: DataFrame, eps: float) -> DataFrame:
    """Compare few rows with all rows, and list the pairs above the threshold.

    Parameters
    ----------
    few
        Columns id and embedding, at most ``MOST_FEW`` rows; perhaps ``floor``, a similarity up to
        which pairs of this row are not wanted.
    rows
        Columns id and embedding. Rows of ``few`` among them are paired with themselves as well.
    eps
        The threshold.

    Returns
    -------
    DataFrame
        Columns id (of ``few``), survivor_id (of ``rows``) and similarity.
    """
    floor = F.col(FLOOR) if FLOOR in few.columns else F.lit(-1.0)
    sent = few.select(s.ID, s.EMBEDDING, floor.cast("float").alias(FLOOR))
    targets = _unpacked(collect_bytes(map_to_parcels(sent, _packed)))
    own, other = (df.schema[s.ID].dataType.simpleString() for df in (few, rows))
    result = f"{s.ID} {own}, {s.SURVIVOR_ID} {other}, {s.SIMILARITY} float"
    above = float32_threshold(1.0 - eps)

    def compare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if targets is None:
            return
        T = to_matrix(targets.column(s.EMBEDDING))
        floors = np.maximum(targets.column(FLOOR).to_numpy(), np.float32(above))
        size = max(1, MOST_PRODUCTS // len(T))
        for batch in batches:
            for start in range(0, batch.num_rows, size):
                yield _pairs(targets.column(s.ID), T, floors, batch.slice(start, size))

    return held(map_batches(rows.select(s.ID, s.EMBEDDING), compare, result))


def _pairs(
    ids: pa.ChunkedArray, T: FloatArray, floors: FloatArray, batch: pa.RecordBatch
) -> pa.RecordBatch:
    X = to_matrix(batch.column(s.EMBEDDING))
    i, j, similarity = settled_pairs(T @ X.T, floors - ROUNDING, T, X)
    found = similarity > floors[i]
    return pa.RecordBatch.from_arrays(
        [
            ids.take(pa.array(i[found])).combine_chunks(),
            batch.column(s.ID).take(pa.array(j[found])),
            pa.array(similarity[found], pa.float32()),
        ],
        names=[s.ID, s.SURVIVOR_ID, s.SIMILARITY],
    )


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    for batch in batches:
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield sink.getvalue()


def _unpacked(parcels: list[bytes]) -> pa.Table | None:
    tables = [pa.ipc.open_stream(parcel).read_all() for parcel in parcels]
    tables = [table for table in tables if table.num_rows]
    return pa.concat_tables(tables) if tables else None
