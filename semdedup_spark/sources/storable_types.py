"""Column types that a Delta table can hold, and the conversion of some others."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    MapType,
    NullType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    UserDefinedType,
)

from semdedup_spark.errors import SourceError
from semdedup_spark.schema import quoted

_NOT_IN_DELTA = set(" ,;{}()\n\t=")
_SCALARS = (
    BooleanType,
    NumericType,
    DecimalType,
    StringType,
    BinaryType,
    DateType,
    TimestampType,
    TimestampNTZType,
    UserDefinedType,
)


def as_storable(df: DataFrame) -> DataFrame:
    """Convert column types and metadata that must not reach the output.

    Values do not change. A column, or a part of one, that is always null becomes a string, the type
    that Spark's JSON reader gives such values. A string with a collation or a fixed length becomes
    a plain string. Of the metadata (defaults, lengths) only the comment stays: the output's tables
    keep old rows, so rules for new rows must not apply to them.

    Parameters
    ----------
    df
        The source's rows.

    Returns
    -------
    DataFrame
        The same rows and column names.
    """
    columns, same = [], True
    for field in df.schema.fields:
        column, kind = F.col(quoted(field.name)), _plain(field.dataType)
        told = {key: field.metadata[key] for key in ("comment",) if key in field.metadata}
        if kind != field.dataType or told != field.metadata:
            column, same = column.cast(kind).alias(field.name, metadata=told), False
        columns.append(column)
    return df if same else df.select(*columns)


def _plain(kind: DataType) -> DataType:
    if isinstance(kind, StructType):
        return StructType(
            [StructField(f.name, _plain(f.dataType), f.nullable, f.metadata) for f in kind.fields]
        )
    if isinstance(kind, ArrayType):
        return ArrayType(_plain(kind.elementType), kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(_plain(kind.keyType), _plain(kind.valueType), kind.valueContainsNull)
    text = isinstance(kind, NullType | StringType) or kind.typeName() in ("char", "varchar")
    return StringType() if text else kind


def refuse_unstorable(fields: list[StructField]) -> None:
    """Refuse columns that no Delta table can hold.

    Parameters
    ----------
    fields
        The columns that travel to the output.

    Raises
    ------
    SourceError
        If there are such columns. It names each of them.
    """
    bad = sorted(set(_unstorable("", StructType(fields))))
    if bad:
        raise SourceError(
            "source columns must have types and names that a Delta table can store: no interval, "
            "time or variant, no struct without fields or with two fields of the same name, and no "
            f"space or any of , ; {{ }} ( ) = in a name. Got {', '.join(map(repr, bad))}.",
            hint="cast or rename them in a view, or list the columns to keep in source.columns.",
        )


def _unstorable(name: str, kind: DataType) -> Iterator[str]:
    """Dotted names of the parts of ``name`` that Delta refuses, with the type if that is why."""
    if isinstance(kind, StructType):
        names = [field.name.lower() for field in kind.fields]
        if len(set(names)) < max(len(names), 1):
            yield f"{name} of type {kind.simpleString()}"
        for field in kind.fields:
            inner = f"{name}.{field.name}" if name else field.name
            if _NOT_IN_DELTA & set(field.name):
                yield inner
            yield from _unstorable(inner, field.dataType)
    elif isinstance(kind, ArrayType):
        yield from _unstorable(name, kind.elementType)
    elif isinstance(kind, MapType):
        yield from _unstorable(name, kind.keyType)
        yield from _unstorable(name, kind.valueType)
    elif not isinstance(kind, _SCALARS):
        yield f"{name} of type {kind.simpleString()}"
