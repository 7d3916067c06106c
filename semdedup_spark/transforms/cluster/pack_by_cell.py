"""Ids and vectors on their way to who trains on them: packed, as that travels faster than lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, pack
from semdedup_spark.transforms.arrow import map_batches, to_matrix

CELL = "cell"


def packed_schema(rows: DataFrame) -> str:
    """The columns of :func:`by_cell`, as DDL. ``rows``: id and others."""
    return f"{CELL} int, ids array<{rows.schema[s.ID].dataType.simpleString()}>, vectors binary"


def gathered(rows: DataFrame) -> DataFrame:
    """All rows in one partition, in the columns of :func:`by_cell`. ``rows``: id, embedding."""

    def send(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                X = to_matrix(batch.column(1))
                yield by_cell(batch.column(0), X, np.zeros(len(X), np.int32))

    sent = map_batches(rows.select(s.ID, s.EMBEDDING), send, packed_schema(rows))
    return sent.repartition(1)


def in_order_of_ids(packed: pa.Table, order: IndexArray | None = None) -> FloatArray:
    """(n, d) the vectors of all rows of ``packed``, which has some, their ids being unique.
    ``order``: (n,) places, by id, of the rows to be returned.
    """
    ids = pc.list_flatten(packed.column("ids"))
    by_id = pc.sort_indices(pa.table({s.ID: ids}), sort_keys=[(s.ID, "ascending")]).to_numpy()
    wanted = by_id if order is None else by_id[order]
    place = np.empty(len(ids), np.int64)
    place[wanted] = np.arange(len(ids))
    parts = [np.frombuffer(value.as_buffer(), "<f4") for value in packed.column("vectors")]
    d = sum(map(len, parts)) // len(ids)
    X, first = np.empty((len(ids), d), np.float32), 0
    for part in parts:  # each to its place at once: what is copied twice is paid for twice
        rows = part.reshape(-1, d)
        X[place[first : first + len(rows)]] = rows
        first += len(rows)
    return X


def by_cell(ids: pa.Array, X: FloatArray, cells: LabelArray) -> pa.RecordBatch:
    """One row for each cell: its ids, and its vectors packed; they travel faster than in lists."""
    order = np.argsort(cells, kind="stable")
    present, starts = np.unique(cells[order], return_index=True)
    ends = np.append(starts, len(order)).astype(np.int32)
    vectors = [pack(X[rows]) for rows in np.split(order, starts[1:])]
    columns = [
        pa.array(present.astype(np.int32)),
        pa.ListArray.from_arrays(pa.array(ends), ids.take(pa.array(order))),
        pa.array(vectors, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=[CELL, "ids", "vectors"])
