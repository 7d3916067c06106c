"""Between Spark, Arrow columns and numpy arrays, without copies where the layout allows."""

from __future__ import annotations

import functools
import gc
import sys
import zipimport
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame

from semdedup_spark.kernels.vectors import FloatArray, from_bytes


def to_matrix(column: pa.Array | pa.ChunkedArray) -> FloatArray:
    """(n, d) float32 of a list<float> column whose n lists all have d entries, or of a binary one
    whose n values each are d little-endian float32s; n >= 1, no value null.

    A null entry of a list becomes NaN.
    """
    X: FloatArray = to_numbers(column).astype(np.float32, copy=False)
    return X


def to_numbers(
    column: pa.Array | pa.ChunkedArray, dtype: str = "float32"
) -> npt.NDArray[np.floating[Any]]:
    """As :func:`to_matrix`, but float64 stays float64; ``dtype``: of binary values."""
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
    """A list<float> column of the rows of ``X`` (n, d); null where ``missing`` (n,) is true."""
    n, d = X.shape
    offsets = pa.array(
        np.arange(0, (n + 1) * d, d, dtype=np.int32) if d else np.zeros(n + 1, np.int32)
    )
    mask = None if missing is None else pa.array(missing)
    flat = pa.array(np.ascontiguousarray(X, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(offsets, flat, mask=mask)


class _Worker:
    """A process that works for Spark, here: its newest task, and how many it has begun."""

    task, n_tasks = -1, 0


def begin_task() -> None:
    """To be called in a UDF's body, as often as it likes. Spares what Spark's worker does around
    each task, which is more than many a task; in other processes it does nothing.
    """
    context = TaskContext.get()
    if context is None or context.taskAttemptId() == _Worker.task:
        return
    _Worker.task, _Worker.n_tasks = context.taskAttemptId(), _Worker.n_tasks + 1
    _keep_zips_read()
    # Spark ends each task with gc.collect(), which looks at all that numpy, pandas, PyArrow and
    # torch have made: a tenth of a second. What the first task leaves stays, and needs no look.
    if _Worker.n_tasks == 2:
        gc.freeze()


def _keep_zips_read() -> None:
    """Spark's worker starts each task with ``importlib.invalidate_caches()``, for which Python up
    to 3.12 reads the directory of every zip on its path again: pyspark.zip costs 0.14 s. Finders
    of zips are made again, from a cache, when next a module is looked for.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            del sys.path_importer_cache[path]


def map_batches(
    rows: DataFrame,
    body: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    result: str,
) -> DataFrame:
    """``body`` on the Arrow batches of each partition. It must yield the columns of ``result``, in
    that order: Spark does not look at their names.
    """

    def through_arrow(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        begin_task()
        yield from body(batches)

    return rows.mapInArrow(through_arrow, result)


def map_groups(
    rows: DataFrame, key: str, body: Callable[[pa.Table], pa.Table], result: str
) -> DataFrame:
    """``body`` on each group of rows with one ``key``: the grouped-map UDF of this Spark."""
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


def task_gpu() -> str | None:
    """The GPU that Spark assigned to this task, as torch names it."""
    context = TaskContext.get()
    gpus = context.resources().get("gpu") if context is not None else None
    return f"cuda:{gpus.addresses[0]}" if gpus else None


def compute_device(wanted: str) -> str:
    """``cpu`` or a GPU for products: ``auto`` takes the GPU that Spark assigned to this task, else
    one that torch sees.
    """
    if wanted == "cpu":
        return "cpu"
    assigned = task_gpu()
    if assigned or wanted == "cuda":
        return assigned or "cuda"
    return "cuda" if torch_sees_gpu() else "cpu"


@functools.cache
def torch_sees_gpu() -> int:
    """How many GPUs; torch is imported only where their driver is loaded."""
    if not Path("/proc/driver/nvidia/version").exists():
        return 0
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
