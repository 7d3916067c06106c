"""Small tables of values that the driver holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, MapType

from semdedup_spark.schema import ID

_GIVEN = "given"


def few_rows(spark: SparkSession, rows: Sequence[Sequence[object]], ddl: str) -> DataFrame:
    """Make a DataFrame of a few rows. ``createDataFrame`` sends its rows through a Python worker,
    which takes longer than the commit of a single row.

    Parameters
    ----------
    spark
        The session of the DataFrame.
    rows
        One or more rows, each with a value for each column. Maps are dicts.
    ddl
        Names and types of the columns.

    Returns
    -------
    DataFrame
        The rows, with these columns.
    """
    fields = spark.createDataFrame([], ddl).schema.fields
    lines = [
        F.struct(
            *(
                _literal(value, field.dataType).alias(field.name)
                for value, field in zip(row, fields, strict=True)
            )
        )
        for row in rows
    ]
    return spark.range(0, 1, 1, 1).select(F.inline(F.array(*lines)))


def ids_as(kind: DataType, ids: Sequence[object], spark: SparkSession) -> DataFrame:
    """Make a DataFrame of ids.

    Parameters
    ----------
    kind
        Type of the ids in a table.
    ids
        The ids.
    spark
        The session of the DataFrame.

    Returns
    -------
    DataFrame
        Column id, of type ``kind``. Null for an id that is no value of this type.
    """
    texts = spark.createDataFrame([(str(one),) for one in ids], f"{_GIVEN} string")
    return texts.select(cast_or_null(_GIVEN, kind).alias(ID))


def cast_or_null(name: str, kind: DataType) -> Column:
    """Read a column of texts as values of a type.

    Parameters
    ----------
    name
        Name of the column, written in this package.
    kind
        The type.

    Returns
    -------
    Column
        Null for a text that is no value of this type.
    """
    return F.expr(f"try_cast({name} AS {kind.simpleString()})")


def _literal(value: object, kind: DataType) -> Column:
    if isinstance(kind, MapType) and isinstance(value, dict):
        return F.map_from_arrays(
            _array(value.keys(), kind.keyType), _array(value.values(), kind.valueType)
        )
    return F.lit(value).cast(kind)


def _array(values: Iterable[object], kind: DataType) -> Column:
    return F.array(*(F.lit(value) for value in values)).cast(f"array<{kind.simpleString()}>")
