"""What a table must be able to do before it can hold a type of column."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, TimestampNTZType

from semdedup_spark.tables.catalog import OutputRoot, table_exists

# Delta enables it when it creates a table, but not when a column is added to an existing one.
_NTZ = "timestampNtz"


def enable_features(spark: SparkSession, root: OutputRoot, table: str, schema: StructType) -> None:
    """Let an existing table hold the columns of a schema. The rows stay as they are.

    Parameters
    ----------
    spark
        The session that writes.
    root
        The output that the table lies in.
    table
        Name of the table; where it does not exist, there is nothing to do.
    schema
        Columns that will be written.
    """
    if not _holds_ntz(schema) or not table_exists(spark, root, table):
        return
    detail = spark.sql(f"DESCRIBE DETAIL {root.name(table)}")
    row = detail.select(F.array_contains("tableFeatures", _NTZ)).first()
    if row is None or not row[0]:
        feature = f"'delta.feature.{_NTZ}' = 'supported'"
        spark.sql(f"ALTER TABLE {root.name(table)} SET TBLPROPERTIES ({feature})")


def _holds_ntz(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_holds_ntz(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _holds_ntz(kind.elementType)
    if isinstance(kind, MapType):
        return _holds_ntz(kind.keyType) or _holds_ntz(kind.valueType)
    return isinstance(kind, TimestampNTZType)
