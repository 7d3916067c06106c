"""Between Spark, Arrow columns and numpy arrays, without copies where the layout allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark.kernels.vectors import FloatArray, from_bytes
from semdedup_spark.transforms.worker import begin_task


def to_matrix(column: pa.Array | pa.ChunkedArray) -> FloatArray:
    """Read a column of vectors.

    Parameters
    ----------
    column
        At least one value, none of them null. Lists of numbers, all of the same length, or binary
        values that each hold as many little-endian float32.

    Returns
    -------
    FloatArray
        (n, d) float32. A null entry of a list becomes NaN.
    """
    X: FloatArray = to_numbers(column).astype(np.float32, copy=False)
    return X


def to_numbers(
    column: pa.Array | pa.ChunkedArray, dtype: str = "float32"
) -> npt.NDArray[np.floating[Any]]:
    """Read a column of vectors, and keep float64 as it is.

    Parameters
    ----------
    column
        As :func:`to_matrix` takes it.
    dtype
        Type of the numbers in binary values.

    Returns
    -------
    npt.NDArray[np.floating[Any]]
        (n, d) float32 or float64. A null entry of a list becomes NaN.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        _, offsets, data = column.buffers()
        place = np.int64 if pa.types.is_large_binary(column.type) else np.int32
        ends = np.frombuffer(offsets, place)[column.offset : column.offset + len(column) + 1]
        return from_bytes(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], len(column), dtype)
    flat = column.flatten()  # .values would ignore a slice
    numbers = flat.to_numpy(zero_copy_only=False)
    if not pa.types.is_float64(flat.type):
        numbers = numbers.astype(np.float32, copy=False)
    matrix: npt.NDArray[np.floating[Any]] = numbers.reshape(len(column), -1)
    return matrix


def to_lists(X: FloatArray, missing: np.ndarray | None = None) -> pa.ListArray:
    """Write a column of vectors.

    Parameters
    ----------
    X
        (n, d) float32. One vector a row.
    missing
        (n,) bool. Rows that become null, none by default.

    Returns
    -------
    pa.ListArray
        n lists of float32.
    """
    n, d = X.shape
    offsets = pa.array(
        np.arange(0, (n + 1) * d, d, dtype=np.int32) if d else np.zeros(n + 1, np.int32)
    )
    mask = None if missing is None else pa.array(missing)
    flat = pa.array(np.ascontiguousarray(X, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(offsets, flat, mask=mask)


def map_batches(
    rows: DataFrame,
    body: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    result: str,
) -> DataFrame:
    """Apply a function to the Arrow batches of each partition.

    Parameters
    ----------
    rows
        Rows of any columns.
    body
        Yields the columns of ``result`` in that order: Spark does not look at their names.
    result
        Columns of the result, as DDL.

    Returns
    -------
    DataFrame
        What ``body`` yields.
    """

    def through_arrow(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        begin_task()
        yield from body(batches)

    return rows.mapInArrow(through_arrow, result)


def map_groups(
    rows: DataFrame, key: str, body: Callable[[pa.Table], pa.Table], result: str
) -> DataFrame:
    """Apply a function to each group of rows, by the grouped-map UDF that this Spark has.

    Parameters
    ----------
    rows
        Rows of any columns.
    key
        Column whose values make the groups.
    body
        Gets all rows of a group, and returns the columns of ``result``.
    result
        Columns of the result, as DDL.

    Returns
    -------
    DataFrame
        What ``body`` returns.
    """
    grouped = rows.groupBy(key)

    def through_arrow(table: pa.Table) -> pa.Table:
        begin_task()
        return body(table)

    if hasattr(grouped, "applyInArrow"):  # Spark 4
        return grouped.applyInArrow(through_arrow, result)

    def through_pandas(frame: Any) -> Any:
        # Integers stay integers beside nulls: as floats, ids beyond 2**53 would change.
        begin_task()
        table = body(pa.Table.from_pandas(frame, preserve_index=False))
        return table.to_pandas(integer_object_nulls=True)

    return grouped.applyInPandas(through_pandas, result)
