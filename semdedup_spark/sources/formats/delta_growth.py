"""The rows that a Delta table has got since an earlier version, if nothing else was done to it."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.paths import absolute, escaped
from semdedup_spark.schema import quoted

# Operations that add rows. Others may add no file, and change the columns.
_APPENDING = ("WRITE", "STREAMING UPDATE", "COPY INTO")
_CHANGES_NOTHING = ("VACUUM START", "VACUUM END")
# The names of all files are compared, and Spark lists each one that is named to it.
_MOST_FILES, _MOST_ADDED_FILES = 100_000, 10_000


def delta_name(source: SourceConfig) -> str:
    """Name a Delta table as SQL writes it.

    Parameters
    ----------
    source
        The configured source.

    Returns
    -------
    str
        The configured name, or the quoted path.
    """
    return source.table or f"delta.{quoted(absolute(source.path or ''))}"


def opened(spark: SparkSession, source: SourceConfig, **how: object) -> DataFrame:
    """Open a Delta table.

    Parameters
    ----------
    spark
        The session that reads it.
    source
        The configured source.
    **how
        Options of Delta's reader, for which ``source.options`` takes precedence.

    Returns
    -------
    DataFrame
        Its rows.
    """
    reader = spark.read.options(**{name: str(value) for name, value in how.items()})
    reader = reader.options(**source.options)
    if source.path:
        return reader.format("delta").load(absolute(source.path))
    return reader.table(delta_name(source))


def rows_since(
    spark: SparkSession, source: SourceConfig, detail: Row, versions: range
) -> DataFrame | None:
    """Read the rows that were added to a table.

    They are read as Parquet from the files that were added: Delta reads all files of a table where
    rows are chosen by their file. So the table must be one that any reader of Parquet understands.
    It is not done past a catalog, which may hide rows. Nor is the table's change feed read: it
    changes texts that are not UTF-8, and tells of no change of the columns in its first commit.

    Parameters
    ----------
    spark
        The session that reads the table.
    source
        The configured source.
    detail
        What ``DESCRIBE DETAIL`` says of the table.
    versions
        ``start`` is the earlier version, ``stop`` the newest one.

    Returns
    -------
    DataFrame | None
        ``None`` where rows went or changed, or where it is not known.

    Notes
    -----
    Spark raises many kinds of errors where the log no longer tells of a version.
    """
    if source.options:
        return None
    is_plain = detail["minReaderVersion"] == 1 and not detail["partitionColumns"]
    if not source.path or not is_plain or (detail["numFiles"] or 0) > _MOST_FILES:
        return None
    return _rows_by_files(spark, source, versions)


def _rows_by_files(spark: SparkSession, source: SourceConfig, versions: range) -> DataFrame | None:
    name = delta_name(source)
    history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {len(versions)}")
    commits = history.filter(F.col("version").between(versions.start + 1, versions.stop))
    appends = F.col("isBlindAppend") & F.col("operation").isin(*_APPENDING)
    harmless = appends | F.col("operation").isin(*_CHANGES_NOTHING)
    if commits.filter(harmless).count() != len(versions):
        return None
    before = set(opened(spark, source, versionAsOf=versions.start).inputFiles())
    now = opened(spark, source, versionAsOf=versions.stop)
    files = [escaped(file) for file in now.inputFiles() if file not in before]
    if not 0 < len(files) <= _MOST_ADDED_FILES:
        return None
    return spark.read.schema(now.schema).parquet(*files)
