"""A Delta table as a source: one of its versions, and the rows that it has got since another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.failures import refuse_elsewhere
from semdedup_spark.paths import absolute, escaped
from semdedup_spark.schema import quoted
from semdedup_spark.sources.raw_source import RawSource, named_roles

_DELTA = "delta:"
# Operations that add rows. Others may add no file, and change the columns.
_APPENDING = ("WRITE", "STREAMING UPDATE", "COPY INTO")
_CHANGES_NOTHING = ("VACUUM START", "VACUUM END")
# The names of all files are compared, and Spark lists each one that is named to it.
_MOST_FILES, _MOST_ADDED_FILES = 100_000, 10_000


@dataclass(frozen=True)
class DeltaSource:
    """A source that is a Delta table.

    Attributes
    ----------
    name
        Its name as SQL writes it.
    table_id
        Delta's id of the table.
    properties
        Properties of the table.
    """

    name: str
    table_id: str
    properties: Mapping[str, str]


def delta_source(spark: SparkSession, source: SourceConfig) -> DeltaSource | None:
    """Look up the Delta table that a source is.

    Parameters
    ----------
    spark
        The session that reads the source.
    source
        The configured source.

    Returns
    -------
    DeltaSource | None
        ``None`` where it is something else, such as a view, or is not there.
    """
    name = delta_name(source)
    try:
        detail = spark.sql(f"DESCRIBE DETAIL {name}").select("format", "id", "properties").first()
    except AnalysisException as error:
        refuse_elsewhere(error)
        return None
    if detail is None or detail[0] != "delta":
        return None
    return DeltaSource(name, str(detail[1]), dict(detail[2] or {}))


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


def newest_version(spark: SparkSession, name: str) -> int | None:
    """Look up the newest version of a Delta table.

    Parameters
    ----------
    spark
        The session that reads the table's history.
    name
        Its name as SQL writes it.

    Returns
    -------
    int | None
        ``None`` where the history has no commit.
    """
    newest = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version").first()
    return None if newest is None else int(newest[0])


def read_delta(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open a Delta table at its newest version, or at the configured one.

    Parameters
    ----------
    spark
        The session that reads the table.
    source
        The configured source.

    Returns
    -------
    RawSource
        Its rows. They stay the same whatever is written to the table.

    Raises
    ------
    SourceError
        If the table has no history.

    Notes
    -----
    Spark raises ``AnalysisException`` if there is no Delta table, or not this version of it.
    """
    name = delta_name(source)
    newest = newest_version(spark, name)
    detail = spark.sql(f"DESCRIBE DETAIL {name}").first()
    if newest is None or detail is None:
        raise SourceError(f"source must be a Delta table with a history. Got {name}.")
    version = newest if source.version is None else source.version
    df = _at(spark, source, version)
    _ = df.schema  # Spark Connect resolves the table only now
    of_table = f"{_DELTA}{detail['id']}@"

    def since(fingerprint: str) -> RawSource | None:
        # Delta reads all files of a table where rows are chosen by their file. Those of a plain
        # table can be read as Parquet, but not past a catalog, which may hide rows. The change feed
        # would not do: it changes texts that are not UTF-8, and hides a change of columns in its
        # first commit.
        is_plain = detail["minReaderVersion"] == 1 and not detail["partitionColumns"]
        is_open = source.path and not source.options and (detail["numFiles"] or 0) <= _MOST_FILES
        if not (is_plain and is_open and fingerprint.startswith(of_table) and version == newest):
            return None
        then = int(fingerprint.removeprefix(of_table))
        if then >= version or not _only_appends(spark, name, then, version):
            return None
        before = set(_at(spark, source, then).inputFiles())
        files = [escaped(file) for file in df.inputFiles() if file not in before]
        if not 0 < len(files) <= _MOST_ADDED_FILES:
            return None
        return replace(raw, df=spark.read.schema(df.schema).parquet(*files))

    raw = RawSource(df, lambda: f"{of_table}{version}", named_roles(source), version=version)
    return replace(raw, since=since)


def _at(spark: SparkSession, source: SourceConfig, version: int) -> DataFrame:
    reader = spark.read.option("versionAsOf", version).options(**source.options)
    if source.path:
        return reader.format("delta").load(absolute(source.path))
    return reader.table(delta_name(source))


def _only_appends(spark: SparkSession, name: str, then: int, version: int) -> bool:
    """Whether all commits from ``then`` on are known, and did nothing but append rows."""
    n = version - then
    history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT {n}")
    commits = history.filter(F.col("version").between(then + 1, version))
    appends = F.col("isBlindAppend") & F.col("operation").isin(*_APPENDING)
    harmless = appends | F.col("operation").isin(*_CHANGES_NOTHING)
    return commits.filter(harmless).count() == n
