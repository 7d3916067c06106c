"""When two values of a column are one: to the bit, as a row's hash tells them, or as SQL compares.

Spark's own hash passes over nulls and over the borders of what is nested, takes -0.0 for 0.0, and
knows no maps. Here a value becomes a sequence of flat parts from which it could be read again.
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
# A number that hardly any array holds; asking for it tells cheaply whether there is a null.
_RARE = -1_597_463_007
_SEEDS = (1, 2)
_WITH_NULLS = {"ignoreNullFields": "false"}


def hash_of(columns: Sequence[Typed]) -> Column:
    """A 128-bit hash, a struct of two bigints, of columns and their types: of any two rows that
    differ in a value, also in the sign of a zero, a null or a border inside of it, it differs. Maps
    are compared without the order of their entries, NaNs are all one.
    """
    types = ",".join(kind.simpleString() for _, kind in columns)
    halves = [_seeded(columns, f"{seed}:{types}").alias(f"h{seed}") for seed in _SEEDS]
    return F.struct(*halves)


def _seeded(columns: Sequence[Typed], seed: str) -> Column:
    # Before each value is said whether there is one: so the sequence can be read in one way only.
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
        # Its bytes: a collation would hash equal what it holds for equal.
        yield column.cast("binary")
    elif not isinstance(kind, NullType):
        yield column


def _of_array(column: Column, kind: DataType, seed: str) -> Iterator[Column]:
    yield F.size(column)
    if isinstance(kind, IntegerType | LongType | FloatType | DoubleType):
        # Long arrays of numbers, mostly without nulls and zeros: text tells all, but takes longer.
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
    """What a hash by Spark leaves out of an array of floats or doubles, of type ``kind``: texts of
    the numbers where a zero among them is negative, else null.
    """
    negative = F.exists(column, lambda x: (x == 0) & (x.cast("string") == F.lit("-0.0")))
    holds_zero = F.array_contains(column, F.lit(0).cast(kind))
    return F.when(holds_zero, F.when(negative, column.cast("array<string>")))


def comparable(column: Column, kind: DataType) -> Column:
    """The column in a form that ``<=>``, ``GROUP BY`` and joins take, of any type: equal where SQL
    holds the values for equal. Maps become arrays of their entries, sorted.
    """
    if isinstance(kind, UserDefinedType) or kind.typeName() == "variant":
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
    """A number as the widest type of its family: its value and its order stay."""
    if isinstance(kind, DecimalType):
        return column.cast(DecimalType(38, kind.scale))
    if kind.typeName() in ("byte", "short", "integer"):
        return column.cast("bigint")
    return column.cast("double") if isinstance(kind, FloatType) else column


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_map(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    return isinstance(kind, MapType | UserDefinedType) or kind.typeName() == "variant"
