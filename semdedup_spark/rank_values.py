"""Columns as the terms of an order, for workers of Spark and for tables in memory alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semdedup_spark.kernels.rank_key import KeyTerm
from semdedup_spark.rank_by import Term


def key_term(column: pa.Array, term: Term) -> KeyTerm:
    """Make a term of an order from its values.

    Parameters
    ----------
    column
        n values of the term's expression: booleans, numbers, decimals, dates, timestamps, strings
        or bytes.
    term
        Its direction, and where nulls go.

    Returns
    -------
    KeyTerm
        What the kernel takes.
    """
    present = np.asarray(column.is_valid())
    return KeyTerm(_key_values(column), present, term.descending, term.nulls_first)


def _key_values(column: pa.Array) -> npt.NDArray[Any] | list[bytes | None]:
    """What :class:`KeyTerm` takes; anything where the column is null."""
    kind = column.type
    if pa.types.is_decimal128(kind):
        words, n = np.frombuffer(column.buffers()[1], dtype=np.uint64), len(column)
        return words.reshape(-1, 2)[column.offset : column.offset + n]
    if pa.types.is_boolean(kind):
        return np.asarray(column.fill_null(False))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.fill_null(0))
    if pa.types.is_date32(kind) or pa.types.is_timestamp(kind):
        number = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        return np.asarray(column.cast(number).fill_null(0))
    as_bytes: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    return as_bytes
