"""Rows of float32 vectors: checking, normalising, hashing, packing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
HashArray = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]

# Bytes of a number, by the names under which vectors may come as bytes.
WIDTHS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}

NON_FINITE = "non_finite_vector"
ZERO = "zero_vector"

# Rows at a time, so that what is computed on the way stays in the cache.
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class UnitRows:
    """Normalised vectors and, for the rows that cannot be normalised, why.

    ``X``: (n, d) float32, rows of length 1 (all zeros where rejected).
    ``reasons``: n entries, ``None`` where the row is good, else ``NON_FINITE`` or ``ZERO``.
    """

    X: FloatArray
    reasons: list[str | None]


def unit_rows(X: npt.ArrayLike) -> UnitRows:
    """Scale every row to Euclidean length 1.

    ``X``: (n, d), any real dtype. The arithmetic is float64, so that a row's result does not
    depend on the rows around it and large or tiny values neither overflow nor vanish: a vector is
    zero where all its entries are, and nowhere else. Negative zero becomes zero: equal vectors then
    have equal bytes.
    """
    given = np.asarray(X)
    if given.dtype.kind in "cmMSU":
        raise ValueError(f"vectors must be real numbers. Got {given.dtype}.")
    if given.ndim != 2:
        raise ValueError(f"vectors must be a 2-D array (n, d). Got shape {given.shape}.")
    unit = np.empty(given.shape, dtype=np.float32)
    reasons: list[str | None] = []
    for start in range(0, len(given), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
            wide = given[block].astype(np.float64)
        reasons += _normalise(wide, unit[block])
    return UnitRows(unit, reasons)


def _normalise(wide: npt.NDArray[np.float64], unit: FloatArray) -> list[str | None]:
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(wide).all(axis=1))
    safe = np.where(finite[:, None], wide, 0.0)
    # Dividing by the largest entry first keeps 1e200 from overflowing when it is squared.
    largest = np.abs(safe).max(axis=1, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    safe = safe / scale[:, None]
    norms: npt.NDArray[np.float64] = np.sqrt((safe * safe).sum(axis=1))
    nonzero: npt.NDArray[np.bool_] = np.asarray(largest > 0)
    unit[:] = 0
    np.divide(
        safe,
        norms[:, None],
        out=unit,
        where=nonzero[:, None] & finite[:, None],
        casting="same_kind",
    )
    unit += 0.0  # -0.0 + 0.0 is 0.0
    reasons: list[str | None] = [None] * len(unit)
    for row in np.flatnonzero(~(finite & nonzero)):
        reasons[row] = ZERO if finite[row] else NON_FINITE
    return reasons


def hash_rows(X: FloatArray) -> HashArray:
    """A 64-bit hash of each row's bytes; equal rows have equal hashes on every machine.

    ``X``: (n, d) float32. The bytes are read as 64-bit words, multiplied by fixed odd numbers and
    summed modulo 2**64 (multilinear hashing), then mixed, so that every output bit is usable.
    """
    n, d = X.shape
    even = X if d % 2 == 0 else np.hstack([X, np.zeros((n, 1), dtype=np.float32)])
    words = np.ascontiguousarray(even, dtype="<f4").view("<u8")
    positions = np.arange(1, words.shape[1] + 1, dtype=np.uint64)
    sums = np.empty(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        multipliers = _mix(positions * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
        for start in range(0, n, _BLOCK_ROWS):
            block = words[start : start + _BLOCK_ROWS]
            # Short numbers such as 1.0 have only high bits set, which a product modulo 2**64
            # pushes out.
            block = block ^ (block >> np.uint64(32))
            block ^= block >> np.uint64(23)
            sums[start : start + _BLOCK_ROWS] = block @ multipliers
        return _mix(sums)


def _mix(h: HashArray) -> HashArray:
    # The finaliser of MurmurHash3 (Appleby, public domain).
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    h = (h ^ (h >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    mixed: HashArray = h ^ (h >> np.uint64(33))
    return mixed


def first_of_equal_rows(X: FloatArray, hashes: HashArray) -> IndexArray:
    """For each row the position of the first row with the same bytes (itself when it is first).

    ``X``: (n, d) float32; ``hashes``: (n,) from :func:`hash_rows`. Rows whose hashes agree are
    compared byte by byte, so a collision of the hash never merges two different vectors.
    """
    first = np.arange(len(X), dtype=np.int64)
    if len(X) < 2:
        return first
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.r_[True, hashes[order][1:] != hashes[order][:-1]])
    ends = np.r_[starts[1:], len(order)]
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        rows = order[start:end]
        while len(rows) > 1:
            same = (X[rows] == X[rows[0]]).all(axis=1)
            first[rows[same]] = rows[0]
            rows = rows[~same]
    return first


def paired_similarity(A: FloatArray, B: FloatArray) -> FloatArray:
    """Cosine of row i of ``A`` with row i of ``B``: (n,) float32 in [-1, 1].

    ``A``: (n, d), ``B``: (n, d) or (1, d) for one row that all are compared with, float32, unit
    rows. Summed in float64, row by row, so that the value does
    not depend on which other rows are in the batch.
    """
    similarity = np.empty(len(A), dtype=np.float32)
    for start in range(0, len(A), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        others = B if len(B) == 1 else B[rows]
        products = (A[rows].astype(np.float64) * others.astype(np.float64)).sum(axis=1)
        similarity[rows] = np.clip(products, -1.0, 1.0)
    return similarity


def float32_threshold(value: float) -> float:
    """The largest float32 not above ``value``: exactly the float32s greater than ``value`` are
    greater than it, however the comparison converts.
    """
    rounded = np.float32(value)
    return float(rounded if float(rounded) <= value else np.nextafter(rounded, np.float32(-np.inf)))


def from_bytes(buffer: Any, n: int, dtype: str) -> npt.NDArray[Any]:
    """(n, d) numbers, float64 where ``dtype`` is, else float32, of little-endian bytes.

    ``buffer``: bytes, or an array of them; ``dtype``: one of :data:`WIDTHS`.
    """
    X: npt.NDArray[Any]
    if dtype == "bfloat16":  # the upper half of a float32
        X = (np.frombuffer(buffer, "<u2").astype("<u4") << np.uint32(16)).view("<f4")
    else:
        X = np.frombuffer(buffer, np.dtype(dtype).newbyteorder("<"))
    wide = np.float64 if dtype == "float64" else np.float32
    with np.errstate(invalid="ignore"):
        return X.reshape(n, -1).astype(wide, copy=False)


def pack(X: FloatArray) -> bytes:
    """The bytes of an (n, d) float32 matrix, row-major little-endian."""
    return np.ascontiguousarray(X, dtype="<f4").tobytes()


def unpack(buffer: bytes | memoryview, dimension: int) -> FloatArray:
    """The (n, dimension) float32 matrix behind :func:`pack`'s bytes; a read-only view."""
    return np.frombuffer(buffer, dtype="<f4").reshape(-1, dimension)
