"""Rows of float32 vectors: checks, normalisation, hashes, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
HashArray = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]

# Two float32 dot products of the same unit vectors, summed in different orders, differ by less than
# this. A float32 product also differs from the exact one by less.
FLOAT32_NOISE = 4e-6
# Stands for a similarity that is not there: no cosine is as low.
BELOW_EVERY_COSINE = -2.0
# Most rows on the second side of one matrix product, so that the product fits in memory.
PANEL_ROWS = 4096
# 2**64 divided by the golden ratio: an odd number whose multiples spread well modulo 2**64.
GOLDEN_RATIO_64 = np.uint64(0x9E3779B97F4A7C15)

# Bytes per number of the types that binary vectors may have.
WIDTHS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}

NON_FINITE = "non_finite_vector"
ZERO = "zero_vector"

# Rows per block, so that intermediate results stay in the processor's cache.
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class UnitRows:
    """Normalised vectors, and the reason for each row that cannot be normalised.

    Attributes
    ----------
    X
        (n, d) float32. Rows of length 1; all zeros where a row is rejected.
    reasons
        n entries: ``None`` for a good row, else ``NON_FINITE`` or ``ZERO``.
    """

    X: FloatArray
    reasons: list[str | None]


def unit_rows(X: npt.ArrayLike) -> UnitRows:
    """Scale every row to Euclidean length 1.

    The arithmetic is float64, so a row's result does not depend on the rows around it, and very
    large or very small values neither overflow nor vanish. A vector counts as zero only where all
    its entries are zero. Negative zero becomes zero, so that equal vectors have equal bytes.

    Parameters
    ----------
    X
        (n, d), any real dtype.

    Returns
    -------
    UnitRows
        The unit rows, and why rows were rejected.

    Raises
    ------
    ValueError
        If ``X`` is not a 2-D array of real numbers.
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
        with np.errstate(invalid="ignore"):  # a signalling NaN would raise a warning
            wide = given[block].astype(np.float64)
        reasons += _normalise(wide, unit[block])
    return UnitRows(unit, reasons)


def _normalise(wide: npt.NDArray[np.float64], unit: FloatArray) -> list[str | None]:
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(wide).all(axis=1))
    safe = np.where(finite[:, None], wide, 0.0)
    # Without this division by the largest entry, the square of 1e200 would overflow.
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
    """Hash the bytes of each row to 64 bits; equal rows have equal hashes on every machine.

    The bytes are read as 64-bit words, multiplied by fixed odd numbers and summed modulo 2**64
    (multilinear hashing). The sum is then mixed, so that every output bit is usable.

    Parameters
    ----------
    X
        (n, d) float32.

    Returns
    -------
    ndarray
        (n,) uint64.
    """
    n, d = X.shape
    even = X if d % 2 == 0 else np.hstack([X, np.zeros((n, 1), dtype=np.float32)])
    words = np.ascontiguousarray(even, dtype="<f4").view("<u8")
    positions = np.arange(1, words.shape[1] + 1, dtype=np.uint64)
    sums = np.empty(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        multipliers = _mix(positions * GOLDEN_RATIO_64) | np.uint64(1)
        for start in range(0, n, _BLOCK_ROWS):
            block = words[start : start + _BLOCK_ROWS]
            # Numbers with few digits, such as 1.0, have only high bits set. A product modulo 2**64
            # would push these out, so they are also copied to lower bits.
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
    """Find for each row the first row with the same bytes.

    Rows whose hashes agree are compared number by number, so a hash collision never merges two
    different vectors.

    Parameters
    ----------
    X
        (n, d) float32.
    hashes
        (n,) uint64, from :func:`hash_rows`.

    Returns
    -------
    ndarray
        (n,) int64. Position of the first equal row; the row's own position where it is the first.
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
    """Cosine of row i of ``A`` with row i of ``B``.

    Each row is summed by itself in float64, so a value does not depend on the other rows in the
    batch.

    Parameters
    ----------
    A
        (n, d) float32. Unit rows.
    B
        (n, d) float32, unit rows; or (1, d), one row that all rows of ``A`` are compared with.

    Returns
    -------
    ndarray
        (n,) float32 in [-1, 1].
    """
    similarity = np.empty(len(A), dtype=np.float32)
    for start in range(0, len(A), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        others = B if len(B) == 1 else B[rows]
        products = (A[rows].astype(np.float64) * others.astype(np.float64)).sum(axis=1)
        similarity[rows] = np.clip(products, -1.0, 1.0)
    return similarity


def float32_threshold(value: float) -> float:
    """Round a threshold down to float32 without changing which float32 numbers exceed it.

    The float32 numbers above the result are exactly those above ``value``, whether a comparison
    converts its operands to float32 or to float64.

    Parameters
    ----------
    value
        Threshold in float64.

    Returns
    -------
    float
        The largest float32 that is not above ``value``.
    """
    rounded = np.float32(value)
    return float(rounded if float(rounded) <= value else np.nextafter(rounded, np.float32(-np.inf)))


def from_bytes(buffer: Any, n: int, dtype: str) -> npt.NDArray[Any]:
    """Read vectors from little-endian bytes.

    Parameters
    ----------
    buffer
        ``bytes``, or an array of bytes, that holds n vectors one after the other.
    n
        Number of vectors.
    dtype
        One of :data:`WIDTHS`.

    Returns
    -------
    ndarray
        (n, d) float64 where ``dtype`` is ``float64``, else float32.
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
    """Write a matrix as bytes.

    Parameters
    ----------
    X
        (n, d) float32.

    Returns
    -------
    bytes
        The numbers row by row, little-endian.
    """
    return np.ascontiguousarray(X, dtype="<f4").tobytes()


def unpack(buffer: bytes | memoryview, dimension: int) -> FloatArray:
    """Read the matrix that :func:`pack` wrote.

    Parameters
    ----------
    buffer
        Bytes of n rows.
    dimension
        Numbers per row, d.

    Returns
    -------
    ndarray
        (n, d) float32. A read-only view of the buffer.
    """
    return np.frombuffer(buffer, dtype="<f4").reshape(-1, dimension)
