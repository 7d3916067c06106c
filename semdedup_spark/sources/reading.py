"""Read a source as it is, pinned to one version, and say which version that was."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError

CORRUPT_RECORD = "_corrupt_record"
_READERS = {"parquet": "parquet", "jsonl": "json", "csv": "csv", "files": "binaryFile"}
_DEFAULT_OPTIONS = {
    "csv": {"header": "true", "escape": '"'},
    "files": {"recursiveFileLookup": "true"},
}


@dataclass(frozen=True)
class RawSource:
    """``df``: the source's rows and columns; ``fingerprint``: equal for equal content, as far as
    can be told without reading it (Delta version, or names, sizes and times of files).
    """

    df: DataFrame
    fingerprint: str


def read_raw(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open the source. Raises :class:`SourceError` when it is not there; starts no job on rows."""
    try:
        if source.table is not None:
            return _read_table(spark, source)
        if source.format == "delta":
            return _read_delta(spark, f"delta.`{absolute(source.path or '')}`", source)
        return _read_files(spark, source)
    except AnalysisException as error:
        place = source.table or source.path
        key = "source.table" if source.table else "source.path"
        raise SourceError(
            f"{key} must be readable as {source.format or 'a table'}. Got {place!r}: "
            f"{_first_line(error)}",
            hint="check the name, the format and, for a relative path, the working directory.",
        ) from error


def absolute(path: str) -> str:
    """A local path made absolute; a URI as it is."""
    return (
        path if "://" in path or path.startswith(("/", "dbfs:", "file:")) else os.path.abspath(path)
    )


def _read_table(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = source.table or ""
    df = spark.table(name)
    try:
        return _read_delta(spark, name, source)
    except AnalysisException:  # a view, or a table that is not Delta: its content is its version
        content = F.xxhash64(*(F.col(f"`{column}`").cast("string") for column in df.columns))
        row = df.agg(F.count(F.lit(1)), F.bit_xor(content)).first()
        return RawSource(df, f"content:{tuple(row) if row else ()}")


def _read_delta(spark: SparkSession, name: str, source: SourceConfig) -> RawSource:
    version = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
    table_id = spark.sql(f"DESCRIBE DETAIL {name}").select("id").first()
    if version is None or table_id is None:
        raise SourceError(f"source must be a Delta table with a history. Got {name}.")
    reader = spark.read.option("versionAsOf", version[0]).options(**source.options)
    df = reader.format("delta").load(absolute(source.path)) if source.path else reader.table(name)
    return RawSource(df, f"delta:{table_id[0]}@{version[0]}")


def _read_files(spark: SparkSession, source: SourceConfig) -> RawSource:
    kind, path = source.format or "", absolute(source.path or "")
    options = {**_DEFAULT_OPTIONS.get(kind, {}), **source.options}
    df = spark.read.format(_READERS[kind]).options(**options).load(path)
    return RawSource(df, file_fingerprint(spark, path))


def file_fingerprint(spark: SparkSession, path: str) -> str:
    """Count, size and a hash of the names, sizes and times of all files below ``path``."""
    listing = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .load(path)
        .select("path", "length", "modificationTime")
    )
    row = listing.agg(
        F.count(F.lit(1)), F.sum("length"), F.bit_xor(F.xxhash64(*listing.columns))
    ).first()
    if row is None or row[0] == 0:
        raise SourceError(
            f"source.path must match at least one file. Got {path!r}, which has none."
        )
    return f"files:{row[0]}:{row[1]}:{row[2]}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
