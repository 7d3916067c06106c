"""Ids and vectors on their way to training: packed, because that travels faster than lists."""

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
    """Tell the columns of :func:`by_cell`.

    Parameters
    ----------
    rows
        Column id and others.

    Returns
    -------
    str
        The columns, as DDL.
    """
    return f"{CELL} int, ids array<{rows.schema[s.ID].dataType.simpleString()}>, vectors binary"


def gathered(rows: DataFrame) -> DataFrame:
    """Bring all rows into one partition.

    Parameters
    ----------
    rows
        Columns id and embedding.

    Returns
    -------
    DataFrame
        The columns of :func:`by_cell`.
    """

    def send(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                X = to_matrix(batch.column(1))
                yield by_cell(batch.column(0), X, np.zeros(len(X), np.int32))

    sent = map_batches(rows.select(s.ID, s.EMBEDDING), send, packed_schema(rows))
    return sent.repartition(1)


def in_order_of_ids(packed: pa.Table, order: IndexArray | None = None) -> FloatArray:
    """Unpack vectors in the order of their ids.

    Parameters
    ----------
    packed
        At least one row of the columns of :func:`by_cell`. No id occurs twice.
    order
        (n,) int64. Positions, in the order of ids, of the rows to be returned; by default all.

    Returns
    -------
    FloatArray
        (n, d) float32. The vectors.
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
    """Pack rows, one packed row for each cell.

    Parameters
    ----------
    ids
        n ids.
    X
        (n, d) float32. Vectors.
    cells
        (n,) int32. Cell of each row.

    Returns
    -------
    pa.RecordBatch
        Columns cell, ids (a list) and vectors (little-endian float32).
    """
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
