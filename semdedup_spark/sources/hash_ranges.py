"""The order in which rows are embedded: each row has a place, a commit a range of them."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

from semdedup_spark import schema as s
from semdedup_spark.values import signs_of_zeros

END_OF_PLACES = 2**31


def place_of(key: Column) -> Column:
    """A place in [0, 2**31): a hash of the key, so that any range is a fair sample."""
    return F.pmod(F.xxhash64(key), F.lit(END_OF_PLACES))


def within(place: Column, begin: int, end: int) -> Column:
    """Whether ``begin <= place < end``."""
    return (place >= begin) & (place < end)


def with_content_hash(rows: DataFrame) -> DataFrame:
    """Add the hash of each row's payload; of a row without one (its reason is known) that of its
    id, so that such rows are spread too.
    """
    payload = F.col(s.PAYLOAD)
    kind, parts = rows.schema[s.PAYLOAD].dataType, [payload]
    if isinstance(kind, StructType):  # a null field would leave no trace
        fields = [payload[name] for name in kind.names]
        parts = [part for field in fields for part in (field, field.isNull())]
    elif isinstance(kind, ArrayType):
        parts.append(signs_of_zeros(payload, kind.elementType))
    content = F.when(payload.isNotNull(), F.xxhash64(*parts)).otherwise(F.xxhash64(s.ID))
    return rows.withColumn(s.CONTENT_HASH, content)
