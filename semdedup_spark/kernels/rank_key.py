"""``ORDER BY`` as bytes: keys whose byte order is the order of the rows in SQL.

A key is the concatenation of one segment per term. No segment is a prefix of another segment of the
same term, so the first difference between two keys lies in the first term in which the rows differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# The first byte of a segment: a null that sorts first, a value, a null that sorts last.
_NULL_FIRST, _VALUE, _NULL_LAST = 0, 1, 2
_INVERTED = bytes(range(255, -1, -1))


@dataclass(frozen=True)
class KeyTerm:
    """One term of an order, with its values in n rows.

    Attributes
    ----------
    values
        (n,) bool, signed integers or floats. Or (n, 2) uint64: the low and the high half of 128-bit
        integers in two's complement. Or n ``bytes``. Entries where ``present`` is false are
        ignored.
    present
        (n,) bool. False where the value is null.
    descending
        Whether higher values come first.
    nulls_first
        Whether rows with a null come before all others.
    """

    values: npt.NDArray[Any] | Sequence[bytes | None]
    present: npt.NDArray[np.bool_]
    descending: bool
    nulls_first: bool


def order_keys(terms: Sequence[KeyTerm]) -> list[bytes]:
    """Compute the keys of n rows.

    Compared as unsigned bytes, the keys order the rows as the terms do. Numbers compare by value:
    NaN comes after all others, and -0.0 equals 0.0. Bytes compare as unsigned, a prefix first.
    False comes before true.

    Parameters
    ----------
    terms
        The terms of the order, the most significant first, each with the same n rows.

    Returns
    -------
    list[bytes]
        n keys. Rows that are equal in all terms have equal keys.

    Raises
    ------
    ValueError
        If there is no term, or the terms have different numbers of rows.
    """
    if not terms:
        raise ValueError("an order must have at least one term. Got none.")
    return list(map(b"".join, zip(*map(_segments, terms), strict=True)))


def _segments(term: KeyTerm) -> list[bytes]:
    if not isinstance(term.values, np.ndarray):
        return _byte_segments(term, term.values)
    value = _ascending_bytes(term.values)
    if term.descending:
        value = ~value
    null = _NULL_FIRST if term.nulls_first else _NULL_LAST
    segments = np.empty((len(value), 1 + value.shape[1]), dtype=np.uint8)
    segments[:, 0] = np.where(term.present, _VALUE, null)
    segments[:, 1:] = np.where(term.present[:, None], value, 0)
    as_bytes: list[bytes] = segments.view(f"V{segments.shape[1]}").ravel().tolist()
    return as_bytes


def _byte_segments(term: KeyTerm, values: Sequence[bytes | None]) -> list[bytes]:
    null = bytes([_NULL_FIRST if term.nulls_first else _NULL_LAST])
    lead = bytes([_VALUE])
    table = _INVERTED if term.descending else None
    return [
        # The two zero bytes at the end sort before any further byte, so a prefix comes first.
        lead + (value.replace(b"\0", b"\0\xff") + b"\0\0").translate(table)
        if value is not None and here
        else null
        for value, here in zip(values, term.present.tolist(), strict=True)
    ]


def _ascending_bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Unsigned integers in the order of the values, (n, width), most significant byte first."""
    if values.dtype == np.bool_:
        numbers = values.astype(np.uint8)
    elif values.ndim == 2:
        numbers = np.ascontiguousarray(values[:, ::-1], dtype=np.uint64)
        numbers[:, 0] ^= np.uint64(1 << 63)
    elif np.issubdtype(values.dtype, np.floating):
        numbers = _ordered_floats(values)
    else:
        numbers = _bits(values) ^ _sign_bit(values)
    big_endian = numbers.astype(numbers.dtype.newbyteorder(">"))
    width = big_endian.itemsize * math.prod(values.shape[1:])
    return big_endian.view(np.uint8).reshape(len(values), width)


def _ordered_floats(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    clean = values.copy()
    clean[np.isnan(clean)] = np.nan  # one positive NaN in place of all NaNs
    clean += 0  # -0.0 + 0 is 0.0
    bits, sign = _bits(clean), _sign_bit(clean)
    # A larger negative number has smaller bits, so its bits are inverted.
    return np.where(bits & sign, ~bits, bits | sign)


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values).view(f"u{values.itemsize}")


def _sign_bit(values: npt.NDArray[Any]) -> Any:
    return np.dtype(f"u{values.itemsize}").type(1 << (8 * values.itemsize - 1))
