"""Read a source without any change, pinned to one version, and record that version."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import NoReturn

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.failures import refuse_elsewhere
from semdedup_spark.masking import masked_settings
from semdedup_spark.paths import as_pattern
from semdedup_spark.schema import quoted
from semdedup_spark.sources.file_names import check_all_read, check_names, tell_hidden
from semdedup_spark.sources.formats.delta_table import delta_name, newest_version, read_delta
from semdedup_spark.sources.formats.folder import (
    chosen_files,
    file_fingerprint,
    is_added,
    listing,
    read_folder,
)
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.formats.npy import read_npy
from semdedup_spark.sources.formats.text_records import read_records
from semdedup_spark.sources.formats.webdataset import read_webdataset
from semdedup_spark.sources.raw_source import RawSource, named_roles
from semdedup_spark.values import hash_of

# What Spark says of a file that is gone.
GONE = re.compile(r"FILE_NOT_EXIST|FileNotFoundException|DELTA_FILE_NOT_FOUND")
_MISSING_FILE = re.compile(r"[^\s'\"]+\.(?:parquet|bin)\b")
_RANGES = re.compile(r"\{\d+\.\.\d+\}")


def read_raw(
    spark: SparkSession, source: SourceConfig, frame: DataFrame | None = None
) -> RawSource:
    """Open a source without starting a Spark job on its rows.

    Parameters
    ----------
    spark
        The session that reads the source.
    source
        The configured source.
    frame
        The rows themselves, in place of a table. They are known again by their content.

    Returns
    -------
    RawSource
        Its rows, and what the reader knows of them.

    Raises
    ------
    SourceError
        If the source cannot be read as configured.

    Notes
    -----
    A failure of the cluster or of a service is raised as :class:`Failed` instead, since it does not
    depend on the configuration.
    """
    if frame is not None:
        return _of_frame(frame, source)
    readers = {
        None: _read_table,
        "delta": read_delta,
        "files": read_folder,
        "webdataset": read_webdataset,
        "npy": read_npy,
    }
    try:
        return readers.get(source.format, _read_files)(spark, source)
    except SourceError:
        raise
    except Exception as error:  # Spark and its file systems raise many kinds
        _refuse_unreadable(source, error)


def _refuse_unreadable(source: SourceConfig, error: Exception) -> NoReturn:
    refuse_elsewhere(error)
    said = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
    given = {"version": source.version, "types": source.types, "options": source.options}
    set_too = masked_settings(given)
    options = "".join(f" with source.{k} {v!r}" for k, v in set_too.items() if v not in (None, {}))
    if source.table is not None:
        raise SourceError(
            f"source.table must be a table or view that can be read{options}. "
            f"Got {source.table!r}: {said}",
            hint="check the name, and that this session's catalog holds the table.",
        ) from error
    if _RANGES.search(source.path or ""):
        said += " (Spark knows no ranges such as {000..099}, but it knows *, [0-9] and {a,b})"
    if "URISyntaxException" in said:
        said += " (Spark cannot read names with a colon that match a pattern)"
    hint = (
        "check the path, the format, the options and, for a relative path, the working directory."
    )
    if source.version is not None:
        hint += " DESCRIBE HISTORY shows which versions exist."
    raise SourceError(
        f"source.path must be readable as {source.format}{options}. Got {source.path!r}: {said}",
        hint=hint,
    ) from error


def _read_table(spark: SparkSession, source: SourceConfig) -> RawSource:
    name = source.table or ""
    df = spark.table(name)
    _ = df.schema  # Spark Connect resolves the table only now
    try:
        return read_delta(spark, source)
    except AnalysisException:
        if source.version is not None:
            raise
        kind = spark.catalog.getTable(name).tableType
        # For a view on a Delta table these would be the table's files, which the view reads right.
        if kind not in ("VIEW", "TEMPORARY"):
            refuse_files_of_tables(spark, df.inputFiles(), "source.table")
        # A view, or a table that is not Delta, has no version: hash its content instead.
        return _of_frame(df, source)


def _of_frame(df: DataFrame, source: SourceConfig) -> RawSource:
    return RawSource(df, lambda: _content_fingerprint(df), named_roles(source))


def _content_fingerprint(df: DataFrame) -> str:
    content = hash_of([(F.col(quoted(field.name)), field.dataType) for field in df.schema])
    halves = df.select(content.alias("hash")).select("hash.*")
    # Use a sum, because equal rows would cancel each other in an exclusive or.
    totals = [F.sum(F.col(half).cast("decimal(38,0)")) for half in halves.columns]
    row = halves.agg(F.count(F.lit(1)), *totals).first()
    names = hashlib.sha256(df.schema.simpleString().encode()).hexdigest()[:16]  # of the columns
    return f"content:{names}:{':'.join(map(str, row)) if row else ''}"


def _read_files(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Files of records. Names tell which files Spark will read, before any is opened."""
    files = listing(spark, source)
    there = files.inputFiles()
    read = chosen_files(spark, source, "text", recursiveFileLookup="false").inputFiles()
    if not read:
        raise SourceError(
            f"source.path must match at least one file. Got {source.path!r}, which has none.",
            hint="check the path. Files whose names begin with _ or a dot are not read.",
        )
    check_all_read(read, there, source)
    refuse_files_of_tables(spark, read, "source.path")
    check_names(read)
    tell_hidden(read)

    def fingerprint() -> str:
        return file_fingerprint(files)

    def fingerprint_now() -> str:
        return file_fingerprint(listing(spark, source))

    if source.format != "parquet":
        records = read_records(spark, source, fingerprint)
        return replace(records, fingerprint_now=fingerprint_now)
    # Without mergeSchema, it is chance whether columns that only some files have are read.
    reader = spark.read.format("parquet").option("mergeSchema", "true").options(**source.options)
    df = reader.load(as_pattern(source.path or ""))
    _ = df.schema

    def since(fingerprint: str) -> RawSource | None:
        # A column of this name would hide what tells the files of the rows.
        added = None if "_metadata" in df.columns else is_added(files, fingerprint)
        return None if added is None else replace(raw, df=df.filter(added))

    raw = RawSource(df, fingerprint, named_roles(source), fingerprint_now=fingerprint_now)
    return replace(raw, since=since)


def refuse_missing_files(
    spark: SparkSession, source: SourceConfig, raw: RawSource, error: Exception
) -> None:
    """Explain an error that was caused by a missing file of a Delta table's version.

    Such an error is permanent: a retry does not bring the file back. Any other error is ignored.

    Parameters
    ----------
    spark
        The session that reads the table's history.
    source
        The configured source.
    raw
        The source as it was opened.
    error
        What Spark raised while it read the rows.

    Raises
    ------
    SourceError
        If a file of the version is missing.
    """
    if raw.version is None or not GONE.search(str(error)):
        return
    place = source.table or source.path or ""
    newest = newest_version(spark, delta_name(source))
    file = _MISSING_FILE.search(str(error))
    if newest == raw.version:
        hint = "restore the file or an earlier version of the table. If VACUUM runs with a short "
        hint += "retention while the table is rewritten, run the command again."
    else:
        hint = "leave source.version out, or name a later version. The newest version is "
        hint += f"{newest}. DESCRIBE HISTORY shows when VACUUM ran."
    example = f", such as {file[0]}" if file else ""
    raise SourceError(
        f"all files of the version that is read must exist. Of version {raw.version} of {place!r} "
        f"some are missing{example}. VACUUM or a user has removed them.",
        hint=hint,
    ) from error
