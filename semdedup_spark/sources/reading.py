"""Read a source as it is, pinned to one version, and say which version that was."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.schema import quoted

_READERS = {"parquet": "parquet", "jsonl": "json", "csv": "csv", "files": "binaryFile"}
_DEFAULT_OPTIONS = {
    "csv": {"header": "true", "escape": '"'},
    "files": {"recursiveFileLookup": "true"},
}


@dataclass(frozen=True)
class RawSource:
    """``df``: the source's rows and columns; ``fingerprint()``: equal for equal content, as far as
    can be told cheaply (Delta version; names, sizes and times of files; else a hash of all rows).
    """

    df: DataFrame
    fingerprint: Callable[[], str]


def read_raw(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open the source. Raises :class:`SourceError` when that fails; starts no job on rows."""
    try:
        if source.table is not None:
            return _read_table(spark, source)
        if source.format == "delta":
            return _read_delta(spark, f"delta.{quoted(absolute(source.path or ''))}", source)
        return _read_files(spark, source)
    except SourceError:
        raise
    except Exception as error:  # Spark and its file systems raise many kinds
        raise _unreadable(source, error) from error


def _unreadable(source: SourceConfig, error: Exception) -> SourceError:
    said = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
    options = f" with source.options {source.options}" if source.options else ""
    if source.table is not None:
        return SourceError(
            f"source.table must be a table or view that can be read. Got {source.table!r}: {said}",
            hint="check the name, and that this session's catalog holds it.",
        )
    return SourceError(
        f"source.path must be readable as {source.format}{options}. Got {source.path!r}: {said}",
        hint="check the path, the format, the options and, for a relative path, the working "
        "directory.",
    )


def absolute(path: str) -> str:
    """A local path made absolute; a URI as it is."""
    return (
        path if "://" in path or path.startswith(("/", "dbfs:", "file:")) else os.path.abspath(path)
    )


def _read_table(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = source.table or ""
    df = spark.table(name)
    _ = df.schema  # Spark Connect looks only now
    try:
        return _read_delta(spark, name, source)
    except AnalysisException:  # a view, or a table that is not Delta: its content is its version
        return RawSource(df, lambda: _content_fingerprint(df))


def _content_fingerprint(df: DataFrame) -> str:
    content = hash_of([F.col(quoted(column)).cast("string") for column in df.columns])
    # A sum, because equal rows would cancel each other in an exclusive or.
    total = F.sum(content.cast("decimal(38,0)"))
    row = df.agg(F.count(F.lit(1)), total, F.bit_xor(F.xxhash64(content))).first()
    return f"content:{':'.join(map(str, row)) if row else ''}"


def hash_of(columns: list[Column]) -> Column:
    """A 64-bit hash of all columns that tells a null in one from a null in another."""
    both = [part for column in columns for part in (column, column.isNull())]
    return F.xxhash64(*both)


def _read_delta(spark: SparkSession, name: str, source: SourceConfig) -> RawSource:
    version = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
    table_id = spark.sql(f"DESCRIBE DETAIL {name}").select("id").first()
    if version is None or table_id is None:
        raise SourceError(f"source must be a Delta table with a history. Got {name}.")
    reader = spark.read.option("versionAsOf", version[0]).options(**source.options)
    df = reader.format("delta").load(absolute(source.path)) if source.path else reader.table(name)
    fingerprint = f"delta:{table_id[0]}@{version[0]}"
    return RawSource(df, lambda: fingerprint)


def _read_files(spark: SparkSession, source: SourceConfig) -> RawSource:
    kind, path = source.format or "", absolute(source.path or "")
    options = {**_DEFAULT_OPTIONS.get(kind, {}), **source.options}
    df = spark.read.format(_READERS[kind]).options(**options).load(path)
    _ = df.schema
    return RawSource(df, lambda: file_fingerprint(spark, path))


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
            f"source.path must match at least one file that is not empty. Got {path!r}, which has "
            "none.",
            hint="names that begin with _ or . are not read.",
        )
    return f"files:{row[0]}:{row[1]}:{row[2]}"
