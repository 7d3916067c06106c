"""Between Arrow columns and numpy arrays, without copies where the layout allows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from semdedup_spark.kernels.vectors import FloatArray


def to_matrix(column: pa.Array | pa.ChunkedArray) -> FloatArray:
    """(n, d) float32 of a list<float> column whose n lists all have d entries; n >= 1.

    A null entry of a list becomes NaN.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    flat = column.flatten()  # .values would ignore a slice
    values: FloatArray = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return values.reshape(len(column), -1)


def to_lists(X: FloatArray, missing: np.ndarray | None = None) -> pa.ListArray:
    """A list<float> column of the rows of ``X`` (n, d); null where ``missing`` (n,) is true."""
    n, d = X.shape
    offsets = pa.array(
        np.arange(0, (n + 1) * d, d, dtype=np.int32) if d else np.zeros(n + 1, np.int32)
    )
    mask = None if missing is None else pa.array(missing)
    flat = pa.array(np.ascontiguousarray(X, dtype=np.float32).reshape(-1))
    return pa.ListArray.from_arrays(offsets, flat, mask=mask)
