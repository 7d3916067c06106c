"""Small tables of values that the driver holds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark.schema import ID

_GIVEN = "given"


def few_rows(spark: SparkSession, rows: Sequence[Sequence[object]], ddl: str) -> DataFrame:
    """Make a DataFrame of a few rows. ``createDataFrame`` sends its rows through a Python worker,
    which takes longer than the commit of a single row. A literal for each value takes as long.

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
    names = spark.createDataFrame([], ddl).columns
    told = [dict(zip(names, row, strict=True)) for row in rows]
    given = F.lit(json.dumps(told, default=_as_text))
    # Whatever the session says of times.
    kinds = re.sub(r"\btimestamp\b", "timestamp_ltz", ddl)
    options = {"mode": "FAILFAST", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
    read = F.from_json(given, f"array<struct<{kinds}>>", options)
    return spark.range(0, 1, 1, 1).select(F.inline(read))


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


def _as_text(time: object) -> str:
    if isinstance(time, datetime):
        return time.astimezone(timezone.utc).isoformat(timespec="microseconds")
    raise TypeError(f"a value must be a number, a text, a time or a dict. Got {type(time)}.")
