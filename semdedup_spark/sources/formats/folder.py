"""Folders of files, one row for each file. Files are chosen by metadata before content is read."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.paths import as_pattern
from semdedup_spark.sources.file_names import check_names, tell_hidden
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.hash_ranges import place_of, within
from semdedup_spark.sources.raw_source import PROBLEM, RawSource, Roles, no_problem
from semdedup_spark.sources.row_checks import TOO_MANY_BYTES, too_many_bytes

_SLASHES = re.compile(":/+")
_FILES = "files:"
# Options of Spark's file readers that decide which files are listed.
_CHOOSING = ("pathglobfilter", "modifiedbefore", "modifiedafter", "recursivefilelookup")


def listing(spark: SparkSession, source: SourceConfig, **defaults: str) -> DataFrame:
    """List the files of ``source.path`` that are not empty, at any depth.

    Parameters
    ----------
    spark
        The session that lists the files.
    source
        The source. Its options may restrict the files.
    **defaults
        Options of Spark's file reader for which ``source.options`` takes precedence.

    Returns
    -------
    DataFrame
        Columns path, modificationTime, length (bytes) and content. Spark reads the content only if
        it is selected.
    """
    return chosen_files(spark, source, "binaryFile", **defaults)


def chosen_files(
    spark: SparkSession, source: SourceConfig, form: str, **defaults: str
) -> DataFrame:
    """Read the files of ``source.path``, at any depth, in one of Spark's simple formats.

    Parameters
    ----------
    spark
        The session that reads the files.
    source
        The source. Only those of its options that choose files are used.
    form
        A Spark format, such as text or binaryFile.
    **defaults
        Options of that format's reader for which ``source.options`` takes precedence.

    Returns
    -------
    DataFrame
        The columns of the Spark format.
    """
    chosen = {k: v for k, v in source.options.items() if k.lower() in _CHOOSING}
    reader = spark.read.format(form).option("recursiveFileLookup", "true")
    return reader.options(**{**defaults, **chosen}).load(as_pattern(source.path or ""))


def file_fingerprint(files: DataFrame) -> str:
    """Summarise a listing of files in a string that changes when a file does.

    Parameters
    ----------
    files
        A listing with path, length (bytes) and modificationTime. It may be empty: whether a
        source may be so is decided where its rows are counted.

    Returns
    -------
    str
        ``files:`` with the number of files, their total size in bytes, and a hash of their names,
        sizes and times.
    """
    files = files.select("path", "length", "modificationTime")
    totals = F.sum("length"), F.bit_xor(F.xxhash64(*files.columns))
    row = files.agg(F.count(F.lit(1)), *(F.coalesce(total, F.lit(0)) for total in totals)).first()
    return f"{_FILES}{':'.join(map(str, row or ()))}"


def is_added(files: DataFrame, fingerprint: str) -> Column | None:
    """Tell the files that were added to a folder from those of an earlier version.

    Files are taken in the order of their times. If the oldest ones together have the earlier
    fingerprint, no file of that version has changed, and all other files are new.

    Parameters
    ----------
    files
        A listing, as :func:`listing` returns it.
    fingerprint
        Of the earlier version, from :func:`file_fingerprint`.

    Returns
    -------
    Column | None
        A condition on the metadata of a row's file. ``None`` if a file of that version has
        changed, or an added one is not newer than all of them.
    """
    if not fingerprint.startswith(_FILES):
        return None
    # Two clocks may differ in their fractions of a second: this one is what readers filter by.
    time = F.unix_micros("_metadata.file_modification_time")
    names = ["path", "length", "modificationTime"]
    files = files.select(*names, time.alias("time"))
    # Such a window holds all files of the row's own time, too.
    until_then = Window.partitionBy(F.lit(0)).orderBy("time")
    totals = F.count(F.lit(1)), F.sum("length"), F.bit_xor(F.xxhash64(*names))
    so_far = F.concat_ws(":", *(total.over(until_then).cast("string") for total in totals))
    found = files.select("time", so_far.alias("so_far"))
    newest = found.filter(F.col("so_far") == fingerprint.removeprefix(_FILES)).first()
    return None if newest is None else time > F.lit(int(newest["time"]))


def read_folder(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Read a folder of images. The path is the key of a row.

    A part is read without opening the files of other parts. Files larger than
    ``source.max_bytes`` are never opened.

    Parameters
    ----------
    spark
        The session that reads the files.
    source
        A source of format files.

    Returns
    -------
    RawSource
        Columns path, modificationTime, length, content and :data:`PROBLEM`.

    Notes
    -----
    Raises :class:`SourceError` if the files belong to a lake table, or if Spark cannot read their
    names.
    """
    files = listing(spark, source)
    names = files.inputFiles()
    refuse_files_of_tables(spark, names, "source.path")
    check_names(names)
    tell_hidden(names)
    empty = empty_files(files, names)

    def since(fingerprint: str) -> RawSource | None:
        added = None if empty is not None else is_added(files, fingerprint)
        return None if added is None else _of_files(files.filter(added), source.max_bytes)

    return replace(
        _of_files(files, source.max_bytes, empty),
        fingerprint_now=lambda: file_fingerprint(listing(spark, source)),
        n_rows=len(names),
        since=since,
    )


def _of_files(files: DataFrame, max_bytes: int, empty: DataFrame | None = None) -> RawSource:
    def part(begin: int, end: int) -> DataFrame:
        # Spark drops files by their metadata when it plans, before it reads any of them.
        found = files.filter(within(place_of(file_name()), begin, end))
        here = None if empty is None else empty.filter(within(place_of(F.col("name")), begin, end))
        return _with_empty(_readable(found, max_bytes), here)

    return RawSource(
        df=_with_empty(_readable(files, max_bytes), empty),
        fingerprint=lambda: file_fingerprint(files),
        roles=Roles("path", "content", own=["path", "modificationTime", "length"]),
        problem=PROBLEM,
        part=part,
        unique_ids=True,
    )


def empty_files(files: DataFrame, names: list[str]) -> DataFrame | None:
    """Find the files of zero bytes, for which Spark's reader returns no row.

    Parameters
    ----------
    files
        The listing of files that are not empty.
    names
        Percent-encoded URIs of all files, the empty ones included.

    Returns
    -------
    DataFrame | None
        Columns name (percent-encoded) and path. ``None`` if no file is empty.
    """
    if len(names) == files.count():
        return None
    every = [(one_slash(name), unquote(name.replace(":///", ":/"))) for name in names]
    spark, columns = files.sparkSession, "name string, path string"
    listed = spark.createDataFrame(every, columns)
    empty = listed.join(files.select(file_name().alias("name")), "name", "left_anti")
    # Collected, so that Spark finds them once. The driver holds the names of all files already.
    return spark.createDataFrame(empty.collect(), columns)


def file_name() -> Column:
    """Name the file that a row comes from.

    Returns
    -------
    Column
        String. The percent-encoded URI, as :func:`one_slash` writes it.
    """
    return F.regexp_replace("_metadata.file_path", _SLASHES.pattern, ":/")


def one_slash(name: str) -> str:
    """Write ``file:///x`` as ``file:/x``. Spark uses both forms.

    Parameters
    ----------
    name
        A URI.

    Returns
    -------
    str
        The URI with one slash after its scheme.
    """
    return _SLASHES.sub(":/", name)


def _readable(files: DataFrame, max_bytes: int) -> DataFrame:
    """``files``, where those that are larger than ``max_bytes`` have a problem and no content."""
    size = F.col("_metadata.file_size")
    large = files.filter(size > max_bytes).select(
        "path",
        "modificationTime",
        "length",
        F.lit(None).cast("binary").alias("content"),
        F.struct(
            F.lit(TOO_MANY_BYTES).alias("reason"), too_many_bytes(max_bytes).alias("message")
        ).alias(PROBLEM),
    )
    # These are two scans. Spark assigns files to them by metadata, and the second is mostly empty.
    return files.filter(size <= max_bytes).select("*", no_problem()).unionByName(large)


def _with_empty(files: DataFrame, empty: DataFrame | None) -> DataFrame:
    if empty is None:
        return files
    return files.unionByName(
        empty.select(
            "path",
            F.lit(None).cast("timestamp").alias("modificationTime"),
            F.lit(0).cast("long").alias("length"),
            F.lit(b"").alias("content"),
            no_problem(),
        )
    )
