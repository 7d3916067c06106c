"""Folders of files, one row a file: what is to be read is chosen by name, before any content."""

from __future__ import annotations

import re
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import as_pattern
from semdedup_spark.sources.file_names import check_names, tell_hidden
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.hash_ranges import place_of, within
from semdedup_spark.sources.raw_source import PROBLEM, RawSource, Roles, no_problem
from semdedup_spark.sources.row_checks import TOO_MANY_BYTES, too_many_bytes

# Options of Spark's file readers that decide which files are seen.
_SLASHES = re.compile(":/+")
_CHOOSING = ("pathglobfilter", "modifiedbefore", "modifiedafter", "recursivefilelookup")


def listing(spark: SparkSession, source: SourceConfig, **defaults: str) -> DataFrame:
    """path, modificationTime, length and content of every file of ``source.path`` that is not
    empty, at any depth; content is read only if it is selected.
    """
    return chosen_files(spark, source, "binaryFile", **defaults)


def chosen_files(
    spark: SparkSession, source: SourceConfig, form: str, **defaults: str
) -> DataFrame:
    """The same files as one of Spark's simple formats has them."""
    chosen = {k: v for k, v in source.options.items() if k.lower() in _CHOOSING}
    reader = spark.read.format(form).option("recursiveFileLookup", "true")
    return reader.options(**{**defaults, **chosen}).load(as_pattern(source.path or ""))


def file_fingerprint(files: DataFrame, path: str) -> str:
    """Count, size and a hash of the names, sizes and times of the files of a fresh listing."""
    files = files.select("path", "length", "modificationTime")
    row = files.agg(
        F.count(F.lit(1)), F.sum("length"), F.bit_xor(F.xxhash64(*files.columns))
    ).first()
    if row is None or row[0] == 0:
        raise SourceError(
            f"source.path must match at least one file that is not empty. Got {path!r}, which has "
            "none.",
            hint="names that begin with _ or . are not read.",
        )
    return f"files:{row[0]}:{row[1]}:{row[2]}"


def read_folder(spark: SparkSession, source: SourceConfig) -> RawSource:
    """A folder of images: the path is the key; a part is read without opening the other files, and
    no file above ``source.max_bytes`` is.
    """
    files = listing(spark, source)
    names = files.inputFiles()
    refuse_files_of_tables(spark, names, "source.path")
    check_names(names)
    tell_hidden(names)
    empty = empty_files(files, names)

    def part(begin: int, end: int) -> DataFrame:
        # Spark drops files by their metadata when it plans, before it reads any of them.
        found = files.filter(within(place_of(file_name()), begin, end))
        here = None if empty is None else empty.filter(within(place_of(F.col("name")), begin, end))
        return _with_empty(_readable(found, source.max_bytes), here)

    return RawSource(
        df=_with_empty(_readable(files, source.max_bytes), empty),
        fingerprint=lambda: file_fingerprint(listing(spark, source), source.path or ""),
        roles=Roles("path", "content", own=["path", "modificationTime", "length"]),
        problem=PROBLEM,
        part=part,
        unique_ids=True,
        n_rows=len(names),
    )


def empty_files(files: DataFrame, names: list[str]) -> DataFrame | None:
    """``name`` (percent-encoded) and ``path`` of the files of no bytes, which Spark lists but does
    not read; ``None`` where there are none. ``names``: of all files that it lists.
    """
    if len(names) == files.count():
        return None
    every = [(one_slash(name), unquote(name.replace(":///", ":/"))) for name in names]
    spark, columns = files.sparkSession, "name string, path string"
    listed = spark.createDataFrame(every, columns)
    empty = listed.join(files.select(file_name().alias("name")), "name", "left_anti")
    # Found once: their names are few beside those that the driver holds already.
    return spark.createDataFrame(empty.collect(), columns)


def file_name() -> Column:
    """The file that a row comes from, percent-encoded, as :func:`one_slash` writes it."""
    return F.regexp_replace("_metadata.file_path", _SLASHES.pattern, ":/")


def one_slash(name: str) -> str:
    """Spark writes ``file:/x`` in one place and ``file:///x`` in another: both as the first."""
    return _SLASHES.sub(":/", name)


def _readable(files: DataFrame, max_bytes: int) -> DataFrame:
    """``files`` with a problem, instead of content, of those that are larger."""
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
    # Two scans, but Spark finds by metadata which files are whose, and mostly the second has none.
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
