"""Values out of ``.npy`` files laid end to end, and as columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def values_at(
    paths: list[str], starts: list[int], rows: np.ndarray, opened: dict[int, np.ndarray]
) -> np.ndarray:
    """Values of the rows (n,) of files laid end to end; ``opened``: maps of files, kept by the
    caller for as long as it likes. Only the pages of these rows are read.
    """
    which = np.searchsorted(starts, rows, side="right") - 1
    parts, places = [], []
    for file in np.unique(which):
        here = np.flatnonzero(which == file)
        if file not in opened:
            opened.clear()  # one map at a time is enough: rows come in order
            opened[file] = np.load(paths[file], mmap_mode="r", allow_pickle=False)
        wanted = rows[here] - starts[file]
        first, last = int(wanted.min()), int(wanted.max()) + 1
        dense = last - first == len(wanted)
        held = opened[file][first:last] if dense else opened[file][wanted]
        parts.append(held[wanted - first] if dense and (np.diff(wanted) != 1).any() else held)
        places.append(here)
    values = np.concatenate(parts)
    if len(parts) == 1:
        return values
    in_order = np.empty_like(values)
    in_order[np.concatenate(places)] = values
    return in_order


def to_column(values: np.ndarray, *, wide: bool = False) -> pa.Array:
    """A column of lists for a matrix (as float32, or float64 if ``wide``), of strings or of int64
    for a vector of ids.
    """
    if values.ndim == 2:
        n, d = values.shape
        kind = np.float64 if wide else np.float32
        flat = pa.array(np.ascontiguousarray(values, dtype=kind).reshape(-1))
        return pa.ListArray.from_arrays(
            pa.array(np.arange(0, (n + 1) * d, d, dtype=np.int32)), flat
        )
    if values.dtype.kind == "S":
        return pa.array([value.decode() for value in values.tolist()], pa.string())
    return pa.array(values.tolist(), pa.string() if values.dtype.kind == "U" else pa.int64())
