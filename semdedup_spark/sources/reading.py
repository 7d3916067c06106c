"""Read a source as it is, pinned to one version, and say which version that was."""

from __future__ import annotations

import re

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import absolute
from semdedup_spark.schema import CORRUPT_RECORD, quoted
from semdedup_spark.sources.folders import file_fingerprint, listing, read_folder
from semdedup_spark.sources.npy import read_npy
from semdedup_spark.sources.raw import RawSource, named_roles
from semdedup_spark.sources.webdataset import read_webdataset
from semdedup_spark.values import hash_of

_READERS = {"parquet": "parquet", "jsonl": "json", "csv": "csv"}
_RANGES = re.compile(r"\{\d+\.\.\d+\}")


def read_raw(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open the source. Raises :class:`SourceError` when that fails; starts no job on rows."""
    try:
        if source.table is not None:
            return _read_table(spark, source)
        match source.format:
            case "delta":
                return _read_delta(spark, f"delta.{quoted(absolute(source.path or ''))}", source)
            case "files":
                return read_folder(spark, source)
            case "webdataset":
                return read_webdataset(spark, source)
            case "npy":
                return read_npy(spark, source)
            case _:
                return _read_files(spark, source)
    except SourceError:
        raise
    except Exception as error:  # Spark and its file systems raise many kinds
        raise _unreadable(source, error) from error


def _unreadable(source: SourceConfig, error: Exception) -> SourceError:
    said = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
    set_too = {"version": source.version, "types": source.types, "options": source.options}
    options = "".join(f" with source.{k} {v!r}" for k, v in set_too.items() if v not in (None, {}))
    if source.table is not None:
        return SourceError(
            f"source.table must be a table or view that can be read{options}. "
            f"Got {source.table!r}: {said}",
            hint="check the name, and that this session's catalog holds it.",
        )
    if _RANGES.search(source.path or ""):
        said += " (Spark knows no ranges such as {000..099}; * and [0-9] and {a,b} it does)"
    return SourceError(
        f"source.path must be readable as {source.format}{options}. Got {source.path!r}: {said}",
        hint="check the path, the format, the options and, for a relative path, the working "
        "directory.",
    )


def _read_table(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = source.table or ""
    df = spark.table(name)
    _ = df.schema  # Spark Connect looks only now
    try:
        return _read_delta(spark, name, source)
    except AnalysisException:
        if source.version is not None:
            raise
        # A view, or a table that is not Delta: its content is its version.
        return RawSource(df, lambda: _content_fingerprint(df), named_roles(source))


def _content_fingerprint(df: DataFrame) -> str:
    content = hash_of([(F.col(quoted(field.name)), field.dataType) for field in df.schema])
    halves = df.select(content.alias("hash")).select("hash.*")
    # A sum, because equal rows would cancel each other in an exclusive or.
    totals = [F.sum(F.col(half).cast("decimal(38,0)")) for half in halves.columns]
    row = halves.agg(F.count(F.lit(1)), *totals).first()
    return f"content:{':'.join(map(str, row)) if row else ''}"


def _read_delta(spark: SparkSession, name: str, source: SourceConfig) -> RawSource:
    newest = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
    table_id = spark.sql(f"DESCRIBE DETAIL {name}").select("id").first()
    if newest is None or table_id is None:
        raise SourceError(f"source must be a Delta table with a history. Got {name}.")
    version = newest[0] if source.version is None else source.version
    reader = spark.read.option("versionAsOf", version).options(**source.options)
    df = reader.format("delta").load(absolute(source.path)) if source.path else reader.table(name)
    _ = df.schema  # Spark Connect looks only now
    fingerprint = f"delta:{table_id[0]}@{version}"
    return RawSource(df, lambda: fingerprint, named_roles(source))


def _read_files(spark: SparkSession, source: SourceConfig) -> RawSource:
    reader = spark.read.format(_READERS[source.format or ""])
    if source.format == "csv":
        reader = reader.options(header="true", escape='"')
    if source.types is not None:
        # What cannot be parsed needs a column to go to; of CSV files the header must still agree.
        reader = reader.schema(f"{source.types}, {CORRUPT_RECORD} string")
        reader = reader.option("enforceSchema", "false")
    df = reader.options(**source.options).load(absolute(source.path or ""))
    _ = df.schema
    return RawSource(
        df,
        lambda: file_fingerprint(listing(spark, source), source.path or ""),
        named_roles(source),
    )
