"""Equality of column values: to the bit, as a row's hash sees it, or as SQL compares.

Spark's own hash skips nulls and the borders of nested values, takes -0.0 for 0.0, and refuses maps.
Here a value becomes a sequence of flat parts from which it could be read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    StringType,
    StructType,
    UserDefinedType,
)

Typed = tuple[Column, DataType]
# A number that hardly any array holds. Searching it tells cheaply whether there is a null.
_RARE = -1_597_463_007
_SEEDS = (1, 2)
_WITH_NULLS = {"ignoreNullFields": "false"}


def hash_of(columns: Sequence[Typed]) -> Column:
    """Hash columns and their types to 128 bits.

    Rows that differ in a value get different hashes, also where they differ in the sign of a zero,
    in a null or in a border inside of a nested value. The order of a map's entries does not count.
    All NaNs are equal.

    Parameters
    ----------
    columns
        Columns with their types.

    Returns
    -------
    Column
        A struct of two bigints, ``h1`` and ``h2``.
    """
    types = ",".join(kind.simpleString() for _, kind in columns)
    halves = [_seeded(columns, f"{seed}:{types}").alias(f"h{seed}") for seed in _SEEDS]
    return F.struct(*halves)


def _seeded(columns: Sequence[Typed], seed: str) -> Column:
    # Each value is preceded by whether it is null, so the sequence can be read in one way only.
    parts = [part for column, kind in columns for part in _parts(column, kind, seed)]
    return F.xxhash64(F.lit(seed), *parts)


def _parts(column: Column, kind: DataType, seed: str) -> Iterator[Column]:
    yield column.isNull()
    if isinstance(kind, StructType):
        for field in kind.fields:
            yield from _parts(column.getField(field.name), field.dataType, seed)
    elif isinstance(kind, ArrayType):
        yield from _of_array(column, kind.elementType, seed)
    elif isinstance(kind, MapType):
        entry = StructType().add("key", kind.keyType).add("value", kind.valueType)
        hashes = F.transform(F.map_entries(column), lambda e: _seeded([(e, entry)], seed))
        yield F.size(column)
        yield F.sort_array(hashes)
    elif isinstance(kind, DoubleType | FloatType):
        yield column
        yield F.when(column == 0, column.cast("string"))
    else:
        yield from _of_scalar(column, kind)


def _of_scalar(column: Column, kind: DataType) -> Iterator[Column]:
    if isinstance(kind, UserDefinedType):
        yield F.to_json(F.struct(column), _WITH_NULLS)
    elif kind.typeName() == "variant":
        yield F.schema_of_variant(column)  # type: ignore[attr-defined]
        yield column.cast("string")
    elif isinstance(kind, StringType):
        # The bytes, because a collation hashes values alike that it holds for equal.
        yield column.cast("binary")
    elif not isinstance(kind, NullType):
        yield column


def _of_array(column: Column, kind: DataType, seed: str) -> Iterator[Column]:
    yield F.size(column)
    if isinstance(kind, IntegerType | LongType | FloatType | DoubleType):
        # Long arrays of numbers rarely hold nulls or zeros. Text tells all apart, but is slower.
        text = F.to_json(F.struct(column.alias("v")), _WITH_NULLS)
        yield F.when(_is_plain(column, kind), None).otherwise(text)
        yield column
    else:
        yield F.transform(column, lambda x: _seeded([(x, kind)], seed))


def _is_plain(column: Column, kind: DataType) -> Column:
    """Whether an array of numbers certainly holds no null, and no zero that may have a sign."""
    rare = 0 if isinstance(kind, FloatType | DoubleType) else _RARE
    return F.array_contains(column, F.lit(rare).cast(kind)).eqNullSafe(F.lit(False))


def signs_of_zeros(column: Column, kind: DataType) -> Column:
    """Give what Spark's hash of an array of floats or doubles leaves out: signs of zeros.

    Parameters
    ----------
    column
        An array of numbers.
    kind
        The type of its elements.

    Returns
    -------
    Column
        The numbers as texts if one of them is -0.0, else null.
    """
    negative = F.exists(column, lambda x: (x == 0) & (x.cast("string") == F.lit("-0.0")))
    holds_zero = F.array_contains(column, F.lit(0).cast(kind))
    return F.when(holds_zero, F.when(negative, column.cast("array<string>")))


def comparable(column: Column, kind: DataType) -> Column:
    """Convert a column of any type for ``<=>``, ``GROUP BY`` and joins.

    Parameters
    ----------
    column
        Any column.
    kind
        Its type.

    Returns
    -------
    Column
        Equal where SQL holds the values for equal. Maps become sorted arrays of their entries.
    """
    if kind.typeName() == "variant":  # JSON writes a date and an equal string in the same way
        return F.struct(F.schema_of_variant(column), F.to_json(F.struct(column)))
    if isinstance(kind, UserDefinedType):
        return F.to_json(F.struct(column))
    if not _has_map(kind):
        return column
    if isinstance(kind, MapType):
        entry = StructType().add("key", kind.keyType).add("value", kind.valueType)
        entries = F.transform(F.map_entries(column), lambda e: comparable(e, entry))
        return F.sort_array(entries)
    if isinstance(kind, ArrayType):
        return F.transform(column, lambda x: comparable(x, kind.elementType))
    fields = [
        comparable(column.getField(field.name), field.dataType).alias(field.name)
        for field in kind  # type: ignore[attr-defined]
    ]
    return F.when(column.isNotNull(), F.struct(*fields))


def widest(column: Column, kind: DataType) -> Column:
    """Cast a number to the widest type of its family, which keeps its value and its order.

    Parameters
    ----------
    column
        Any column.
    kind
        Its type.

    Returns
    -------
    Column
        A decimal, bigint or double; a column of another type as it is.
    """
    if isinstance(kind, DecimalType):
        return column.cast(DecimalType(38, kind.scale))
    if kind.typeName() in ("byte", "short", "integer"):
        return column.cast("bigint")
    return column.cast("double") if isinstance(kind, FloatType) else column


def is_utf8(text: Column) -> Column:
    """Tell whether the bytes of a string are UTF-8. Spark's text readers do not check them.

    Parameters
    ----------
    text
        A string.

    Returns
    -------
    Column
        Boolean.
    """
    if hasattr(F, "is_valid_utf8"):  # Spark 4
        return F.is_valid_utf8(text)
    as_bytes = text.cast("binary")  # decoding replaces malformed bytes
    return F.encode(F.decode(as_bytes, "UTF-8"), "UTF-8") == as_bytes


def legible(value: Column) -> Column:
    """Write a value as text that Java's and Python's strings can hold, and that differs from the
    text of every other value.

    Parameters
    ----------
    value
        A column of any type.

    Returns
    -------
    Column
        String: bytes that are no UTF-8 are in hex, after ``0x``. Null for null.
    """
    text = value.cast("string")
    in_hex = F.concat(F.lit("0x"), F.hex(text.cast("binary")))
    return F.when(text.isNull() | is_utf8(text), text).otherwise(in_hex)


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_map(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    return isinstance(kind, MapType | UserDefinedType) or kind.typeName() == "variant"
