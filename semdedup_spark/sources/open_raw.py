"""Read a source as it is, pinned to one version, and say which version that was."""

from __future__ import annotations

import re

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.failures import explained
from semdedup_spark.masking import masked_settings
from semdedup_spark.paths import absolute, as_pattern
from semdedup_spark.schema import quoted
from semdedup_spark.sources.file_names import check_all_read, check_names, tell_hidden
from semdedup_spark.sources.formats.folder import (
    chosen_files,
    file_fingerprint,
    listing,
    read_folder,
)
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.formats.npy import read_npy
from semdedup_spark.sources.formats.text_records import read_records
from semdedup_spark.sources.formats.webdataset import read_webdataset
from semdedup_spark.sources.raw_source import RawSource, named_roles
from semdedup_spark.values import hash_of

_MISSING = re.compile(r"FILE_NOT_EXIST|FileNotFoundException|DELTA_FILE_NOT_FOUND")
_MISSING_FILE = re.compile(r"[^\s'\"]+\.(?:parquet|bin)\b")
_RANGES = re.compile(r"\{\d+\.\.\d+\}")


def read_raw(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open the source. Raises :class:`SourceError` when that fails; starts no job on rows."""
    try:
        if source.table is not None:
            return _read_table(spark, source)
        match source.format:
            case "delta":
                return _read_delta(spark, source)
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
        failure = explained(error)
        if failure is not None and failure.kind.is_elsewhere:
            raise failure from error
        raise _unreadable(source, error) from error


def _unreadable(source: SourceConfig, error: Exception) -> SourceError:
    said = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
    given = {"version": source.version, "types": source.types, "options": source.options}
    set_too = masked_settings(given)
    options = "".join(f" with source.{k} {v!r}" for k, v in set_too.items() if v not in (None, {}))
    if source.table is not None:
        return SourceError(
            f"source.table must be a table or view that can be read{options}. "
            f"Got {source.table!r}: {said}",
            hint="check the name, and that this session's catalog holds it.",
        )
    if _RANGES.search(source.path or ""):
        said += " (Spark knows no ranges such as {000..099}; * and [0-9] and {a,b} it does)"
    if "URISyntaxException" in said:
        said += " (Spark cannot read names with a colon where a pattern meets them)"
    hint = (
        "check the path, the format, the options and, for a relative path, the working directory."
    )
    if source.version is not None:
        hint += " DESCRIBE HISTORY shows which versions there are."
    return SourceError(
        f"source.path must be readable as {source.format}{options}. Got {source.path!r}: {said}",
        hint=hint,
    )


def _read_table(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = source.table or ""
    df = spark.table(name)
    _ = df.schema  # Spark Connect looks only now
    try:
        return _read_delta(spark, source)
    except AnalysisException:
        if source.version is not None:
            raise
        kind = spark.catalog.getTable(name).tableType
        if kind not in ("VIEW", "TEMPORARY"):  # of a view on a Delta table these are its files
            refuse_files_of_tables(spark, df.inputFiles(), "source.table")
        # A view, or a table that is not Delta: its content is its version.
        return RawSource(df, lambda: _content_fingerprint(df), named_roles(source))


def _content_fingerprint(df: DataFrame) -> str:
    content = hash_of([(F.col(quoted(field.name)), field.dataType) for field in df.schema])
    halves = df.select(content.alias("hash")).select("hash.*")
    # A sum, because equal rows would cancel each other in an exclusive or.
    totals = [F.sum(F.col(half).cast("decimal(38,0)")) for half in halves.columns]
    row = halves.agg(F.count(F.lit(1)), *totals).first()
    return f"content:{':'.join(map(str, row)) if row else ''}"


def _delta_name(source: SourceConfig) -> str:
    return source.table or f"delta.{quoted(absolute(source.path or ''))}"


def _newest_version(spark: SparkSession, name: str) -> int | None:
    newest = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
    return None if newest is None else int(newest[0])


def _read_delta(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = _delta_name(source)
    newest = _newest_version(spark, name)
    table_id = spark.sql(f"DESCRIBE DETAIL {name}").select("id").first()
    if newest is None or table_id is None:
        raise SourceError(f"source must be a Delta table with a history. Got {name}.")
    version = newest if source.version is None else source.version
    reader = spark.read.option("versionAsOf", version).options(**source.options)
    df = reader.format("delta").load(absolute(source.path)) if source.path else reader.table(name)
    _ = df.schema  # Spark Connect looks only now
    fingerprint = f"delta:{table_id[0]}@{version}"
    return RawSource(df, lambda: fingerprint, named_roles(source), version=version)


def _read_files(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Files of records. Which of them Spark will read is known by name before any is opened."""
    there = listing(spark, source).inputFiles()
    read = chosen_files(spark, source, "text", recursiveFileLookup="false").inputFiles()
    if not read:
        raise SourceError(
            f"source.path must match at least one file. Got {source.path!r}, which has none.",
            hint="check the path; names that begin with _ or a dot are not read.",
        )
    check_all_read(read, there, source)
    refuse_files_of_tables(spark, read, "source.path")
    check_names(read)
    tell_hidden(read)

    def fingerprint() -> str:
        return file_fingerprint(listing(spark, source), source.path or "")

    if source.format != "parquet":
        return read_records(spark, source, fingerprint)
    # Columns that only some of the files have would else be lost, or not, by chance.
    reader = spark.read.format("parquet").option("mergeSchema", "true").options(**source.options)
    df = reader.load(as_pattern(source.path or ""))
    _ = df.schema
    return RawSource(df, fingerprint, named_roles(source))


def refuse_missing_files(
    spark: SparkSession, source: SourceConfig, raw: RawSource, error: Exception
) -> None:
    """Raise :class:`SourceError` if reading ended with ``error`` for want of a file of the Delta
    table's version: no repetition brings it back.
    """
    if raw.version is None or not _MISSING.search(str(error)):
        return
    place = source.table or source.path or ""
    newest = _newest_version(spark, _delta_name(source))
    file = _MISSING_FILE.search(str(error))
    if newest == raw.version:
        hint = "restore the file, or an earlier version of the table; if VACUUM runs with a short "
        hint += "retention while the table is rewritten, run the command again."
    else:
        hint = f"leave source.version out, or name a later one; the newest is {newest}. "
        hint += "DESCRIBE HISTORY shows when VACUUM ran."
    raise SourceError(
        f"all files of the version that is read must be there. Of version {raw.version} of "
        f"{place!r} VACUUM, or somebody, has removed some{f', such as {file[0]}' if file else ''}.",
        hint=hint,
    ) from error
