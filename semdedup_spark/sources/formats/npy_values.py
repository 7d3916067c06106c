"""Read rows of several ``.npy`` files as if they were one, and turn them into Arrow columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from semdedup_spark.errors import SourceError

_CHARACTERS_AT_ONCE = 1 << 22


def values_at(
    paths: list[str], starts: list[int], rows: np.ndarray, opened: dict[int, np.ndarray]
) -> np.ndarray:
    """Read the given rows of files that are numbered as one.

    The files are memory-mapped, so only the pages of these rows are read.

    Parameters
    ----------
    paths
        (n_files,). The ``.npy`` files in order.
    starts
        (n_files + 1,). Number of the first row of each file, then the number of all rows.
    rows
        (n,) integers. Row numbers, at least one.
    opened
        Open memory maps by file index. The caller passes the same dict again to reuse them.

    Returns
    -------
    np.ndarray
        (n, d) or (n,), in the files' dtype. Values in the order of ``rows``.
    """
    which = np.searchsorted(starts, rows, side="right") - 1
    parts, places = [], []
    for file in np.unique(which):
        here = np.flatnonzero(which == file)
        if file not in opened:
            opened.clear()  # rows come in order, so one open map is enough
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
    """Turn values into an Arrow column.

    Parameters
    ----------
    values
        (n, d) floats: vectors. (n,) strings, bytes or integers: ids.
    wide
        Whether vectors become float64 rather than float32.

    Returns
    -------
    pa.Array
        Lists of floats for vectors; strings or int64 for ids. Bytes become strings unchanged, also
        where they are not UTF-8, as in Spark's own readers.
    """
    if values.ndim == 2:
        n, d = values.shape
        kind = np.float64 if wide else np.float32
        flat = pa.array(np.ascontiguousarray(values, dtype=kind).reshape(-1))
        return pa.ListArray.from_arrays(
            pa.array(np.arange(0, (n + 1) * d, d, dtype=np.int32)), flat
        )
    if values.dtype.kind == "S":
        return pa.array(values.tolist(), pa.binary()).cast(pa.string(), safe=False)
    return pa.array(values.tolist(), pa.string() if values.dtype.kind == "U" else pa.int64())


def refuse_surrogates(paths: list[str]) -> None:
    """Refuse ids with a lone surrogate, which is half of a character and no text.

    Parameters
    ----------
    paths
        ``.npy`` files of ids. Only those of strings are read.

    Raises
    ------
    SourceError
        If there is such an id.
    """
    for path in paths:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
        if ids.dtype.kind != "U" or ids.dtype.itemsize == 0:
            continue
        width = ids.dtype.itemsize // 4
        step = max(1, _CHARACTERS_AT_ONCE // width)
        for first in range(0, len(ids), step):
            few = np.ascontiguousarray(ids[first : first + step])
            characters = few.view(np.dtype("u4").newbyteorder(ids.dtype.byteorder))
            bad = np.flatnonzero(characters >> 11 == 0xD800 >> 11)
            if len(bad):
                row = int(bad[0]) // width
                raise SourceError(
                    "source.metadata must hold ids that are valid text, without lone surrogates. "
                    f"Got {str(few[row])!r} in row {first + row:,} (from 0) of {path}.",
                    hint="make the ids again from text that was decoded without surrogateescape.",
                )
