"""The order in which rows are embedded. Each row has a place, and each commit a range of places."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from semdedup_spark import schema as s
from semdedup_spark.values import signs_of_zeros

END_OF_PLACES = 2**31


def place_of(key: Column) -> Column:
    """Hash a key to a place, so that any range of places is a random sample.

    Parameters
    ----------
    key
        Any type that Spark can hash.

    Returns
    -------
    Column
        Bigint in [0, ``END_OF_PLACES``).
    """
    return F.pmod(F.xxhash64(key), F.lit(END_OF_PLACES))


def within(place: Column, begin: int, end: int) -> Column:
    """Tell whether ``begin <= place < end``.

    Parameters
    ----------
    place
        Bigint, from :func:`place_of`.
    begin
        First place of the range.
    end
        First place behind the range.

    Returns
    -------
    Column
        Boolean.
    """
    return (place >= begin) & (place < end)


def with_content_hash(rows: DataFrame) -> DataFrame:
    """Add a hash of each row's payload.

    A row without a payload gets the hash of its id, so that such rows are spread over commits too.

    Parameters
    ----------
    rows
        Columns id and payload.

    Returns
    -------
    DataFrame
        ``rows`` with content_hash (bigint).
    """
    payload = F.col(s.PAYLOAD)
    kind, parts = rows.schema[s.PAYLOAD].dataType, [payload]
    if isinstance(kind, StructType):  # Spark's hash ignores null fields
        fields = [payload[name] for name in kind.names]
        parts = [part for field in fields for part in (field, field.isNull())]
    elif isinstance(kind, ArrayType):
        parts.append(signs_of_zeros(payload, kind.elementType))
    content = F.when(payload.isNotNull(), F.xxhash64(*parts)).otherwise(F.xxhash64(s.ID))
    return rows.withColumn(s.CONTENT_HASH, content)
