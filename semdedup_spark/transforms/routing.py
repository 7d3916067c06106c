"""First half of scoring: assign rows to clusters and send them, packed, to their work units.

One row of the result stands for all rows of one Arrow batch that visit one unit: lists of their
keys, and one binary matrix of their vectors, in which equal vectors appear once. Moving vectors
costs more than multiplying them; packed, they cross the shuffle as a few large values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.kmeans import Assignment, assign
from semdedup_spark.kernels.packing import Routes, UnitPlan, route
from semdedup_spark.kernels.vectors import (
    FloatArray,
    IndexArray,
    first_of_equal_rows,
    hash_rows,
    pack,
    unpack,
)
from semdedup_spark.transforms.arrow import to_matrix

UNIT = "unit"
SLOT = "slot"
ACROSS = "across"
VECTOR = "vector"
VECTORS = "vectors"
# Columns of a packed row that hold one entry per row of the source, in this order.
ROW_COLUMNS = (s.ID, s.BATCH, s.CLUSTER_ID, s.CENTROID_SIMILARITY, s.RANK_KEY, SLOT, ACROSS, VECTOR)
_RANDOM_KEY = "__random"


def rank_key_type(rank_by: str) -> str:
    """SQL type of ``rank_key``: a similarity, or for ``random`` a 64-bit hash."""
    return "bigint" if rank_by == "random" else "float"


def route_rows(
    embeddings: DataFrame, centroids: FloatArray, plan: UnitPlan, *, rank_by: str, seed: int
) -> DataFrame:
    """Assign and pack. ``embeddings``: id, embedding, batch. Returns packed rows (see above)."""
    id_type = embeddings.schema[s.ID].dataType.simpleString()
    columns = [F.col(s.ID), F.col(s.EMBEDDING), F.col(s.BATCH)]
    if rank_by == "random":
        columns.append(F.xxhash64(F.lit(seed), F.col(s.ID)).alias(_RANDOM_KEY))
    packed_centroids, d = pack(centroids), centroids.shape[1]

    def route_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        matrix = unpack(packed_centroids, d)
        for batch in batches:
            if batch.num_rows:
                yield pack_batch(batch, matrix, plan, rank_by)

    return embeddings.select(*columns).mapInArrow(route_batches, _packed_schema(id_type, rank_by))


def _packed_schema(id_type: str, rank_by: str) -> str:
    types = {
        s.ID: id_type,
        s.BATCH: "int",
        s.CLUSTER_ID: "int",
        s.CENTROID_SIMILARITY: "float",
        s.RANK_KEY: rank_key_type(rank_by),
        SLOT: "int",
        ACROSS: "boolean",
        VECTOR: "int",
    }
    lists = ", ".join(f"{name} array<{types[name]}>" for name in ROW_COLUMNS)
    return f"{UNIT} int, {lists}, {VECTORS} binary"


def pack_batch(
    batch: pa.RecordBatch, centroids: FloatArray, plan: UnitPlan, rank_by: str
) -> pa.RecordBatch:
    """The UDF's body: rows of one Arrow batch to packed rows, one for each unit visited."""
    X = np.ascontiguousarray(to_matrix(batch.column(s.EMBEDDING)))
    nearest = assign(X, centroids)
    hashes = hash_rows(X)
    routes = route(nearest.labels, hashes, plan)
    order = np.argsort(routes.unit, kind="stable")
    units, starts = np.unique(routes.unit[order], return_index=True)
    distinct = first_of_equal_rows(X, hashes)
    vector = np.empty(len(order), dtype=np.int32)
    matrices = []
    for start, end in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        rows, vector[start:end] = np.unique(
            distinct[routes.row[order[start:end]]], return_inverse=True
        )
        matrices.append(pack(X[rows]))
    offsets = pa.array(np.r_[starts, len(order)].astype(np.int32))
    flat = _flat_columns(batch, nearest, routes, order, vector, rank_by)
    lists = [pa.ListArray.from_arrays(offsets, flat[name]) for name in ROW_COLUMNS]
    return pa.RecordBatch.from_arrays(
        [pa.array(units.astype(np.int32)), *lists, pa.array(matrices, pa.binary())],
        names=[UNIT, *ROW_COLUMNS, VECTORS],
    )


def _flat_columns(
    batch: pa.RecordBatch,
    nearest: Assignment,
    routes: Routes,
    order: IndexArray,
    vector: np.ndarray,
    rank_by: str,
) -> dict[str, pa.Array]:
    row = routes.row[order]
    take = pa.array(row)
    if rank_by == "random":
        rank_key = batch.column(_RANDOM_KEY).take(take)
    else:
        sign = np.float32(1 if rank_by == "low" else -1)
        rank_key = pa.array(nearest.similarity[row] * sign)
    return {
        s.ID: batch.column(s.ID).take(take),
        s.BATCH: batch.column(s.BATCH).take(take),
        s.CLUSTER_ID: pa.array(nearest.labels[row]),
        s.CENTROID_SIMILARITY: pa.array(nearest.similarity[row]),
        s.RANK_KEY: rank_key,
        SLOT: pa.array(routes.slot[order].astype(np.int32)),
        ACROSS: pa.array(routes.across[order]),
        VECTOR: pa.array(vector),
    }
