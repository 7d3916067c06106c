"""Checks of a source's schema that need no Spark job: id, batch, content and own columns."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    ByteType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructType,
)

from semdedup_spark.config import CONTENT_HASH, SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.schema import quoted
from semdedup_spark.sources.raw_source import RawSource, Roles
from semdedup_spark.sources.storable_types import refuse_unstorable

_ID_TYPES = (StringType, LongType, IntegerType, ShortType, ByteType)
_WANTED_CONTENT = {
    "text": "a string column",
    "images": "a binary column, or a struct with a binary field named bytes",
    "image_text": "a binary column, or a struct with a binary field named bytes",
    "vectors": "array<float>, array<double>, an MLlib vector, or binary of source.dtype",
}


def check_id(df: DataFrame, source: SourceConfig, roles: Roles) -> None:
    """Check that the id column exists and has a type that ids can have.

    Parameters
    ----------
    df
        The source's rows.
    source
        The configured source.
    roles
        The roles of its columns.

    Raises
    ------
    SourceError
        If the column is missing, or is neither a string nor a whole number.
    """
    if roles.id is None:
        return
    field = _field(df, roles.id, "source.id")
    if not isinstance(field, _ID_TYPES):
        raise SourceError(
            f"source.id must be a string or whole-number column. "
            f"Got {source.id!r} of type {field.simpleString()}.",
            hint=f"cast it in a view, or set source.id to {CONTENT_HASH}.",
        )


def check_batch(df: DataFrame, source: SourceConfig) -> None:
    """Check that the column of batch numbers, if one is named, holds whole numbers.

    Parameters
    ----------
    df
        The source's rows.
    source
        The configured source.

    Raises
    ------
    SourceError
        If the column is missing, or is not of a whole-number type.
    """
    if source.batch is None:
        return
    field = _field(df, source.batch, "source.batch")
    if not isinstance(field, LongType | IntegerType | ShortType | ByteType):
        raise SourceError(
            f"source.batch must be a whole-number column. "
            f"Got {source.batch!r} of type {field.simpleString()}.",
            hint="cast it in a view; for jsonl and csv, set its type in source.types.",
        )


def payload_column(df: DataFrame, source: SourceConfig, roles: Roles) -> Column:
    """Select what the encoder gets.

    Parameters
    ----------
    df
        The source's rows.
    source
        The configured source.
    roles
        The roles of its columns.

    Returns
    -------
    Column
        By ``source.kind``: string (text); binary (images); array<float>, array<double> or binary
        of ``source.dtype`` (vectors); struct<image: binary, text: string> (image_text).

    Raises
    ------
    SourceError
        If a column is missing, or if its type does not go with ``source.kind``.
    """
    name = roles.content
    field = _field(df, name, "source.content")
    column = F.col(quoted(name))
    match source.kind:
        case "text" if isinstance(field, StringType):
            return column
        case "images" if (image := _image(column, field)) is not None:
            return image
        case "image_text" if (image := _image(column, field)) is not None:
            return F.struct(image.alias("image"), _caption(df, roles.text or "").alias("text"))
        case "vectors" if (vector := _vector(column, field)) is not None:
            if source.dtype is not None and not isinstance(field, BinaryType):
                raise SourceError(
                    "source.dtype is the type of numbers stored as bytes, and goes with a binary "
                    f"column. Got {name!r} of type {field.simpleString()}.",
                    hint="leave source.dtype null.",
                )
            return vector
    raise SourceError(
        f"source.content must be {_WANTED_CONTENT[source.kind]} for kind {source.kind}. "
        f"Got {name!r} of type {field.simpleString()}.",
        hint="set source.content to another column, or source.kind to what this one holds.",
    )


def _image(column: Column, field: DataType) -> Column | None:
    if isinstance(field, BinaryType):
        return column
    if isinstance(field, StructType) and "bytes" in field.names:
        inner = field["bytes"].dataType
        return column["bytes"] if isinstance(inner, BinaryType) else None
    return None


def _caption(df: DataFrame, name: str) -> Column:
    field = _field(df, name, "source.text")
    if not isinstance(field, StringType):
        raise SourceError(
            f"source.text must be a string column. Got {name!r} of type {field.simpleString()}.",
            hint="set source.text to the column of captions.",
        )
    return F.col(quoted(name))


def _vector(column: Column, field: DataType) -> Column | None:
    if isinstance(field, BinaryType):
        return column
    if isinstance(field, ArrayType) and isinstance(field.elementType, FloatType | DoubleType):
        return column  # doubles stay doubles, because large ones would become infinite floats
    if field.typeName() == "udt" or "VectorUDT" in type(field).__name__:
        from pyspark.ml.functions import vector_to_array

        return vector_to_array(column, "float64")
    return None


def own_columns(raw: RawSource, source: SourceConfig) -> list[str]:
    """List the columns that travel to the output.

    Parameters
    ----------
    raw
        The source as its reader returned it.
    source
        The configured source.

    Returns
    -------
    list[str]
        Names of the source's columns, and of the reader's column of unreadable text if there is
        one.

    Raises
    ------
    SourceError
        If a column of ``source.columns`` is missing, if names clash, or if Delta cannot store a
        column.
    """
    df, roles = raw.df, raw.roles
    for name in source.columns or []:
        _field(df, name, "source.columns")
    present = [name for name in df.columns if name not in (raw.problem, raw.unreadable)]
    names = list(source.columns or roles.own or present)
    if len({name.lower() for name in names}) < len(names):
        raise SourceError(
            f"source columns must have names that differ in more than case. Got {names}.",
            hint="list the columns to keep in source.columns, each once.",
        )
    if roles.id not in names and "id" in {name.lower() for name in names}:
        raise SourceError(
            "source.columns must hold the column of source.id, or else no column named id, because "
            f"a column id is added. Got {names} and source.id {source.id!r}.",
            hint="set source.id to the column named id, or leave that column out of "
            "source.columns.",
        )
    if raw.unreadable is not None and raw.unreadable not in names:
        names.append(raw.unreadable)  # quarantine must hold the text that could not be parsed
    refuse_unstorable([field for field in df.schema.fields if field.name in names])
    return names


def _field(df: DataFrame, name: str, key: str) -> DataType:
    for field in df.schema.fields:
        if field.name == name:
            return field.dataType
    raise SourceError.missing_column(name, df.columns, key=key)
