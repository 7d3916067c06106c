"""A Delta table as a source, pinned to one of its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.failures import refuse_elsewhere
from semdedup_spark.sources.formats.delta_growth import delta_name, opened, rows_since
from semdedup_spark.sources.raw_source import RawSource, named_roles

_DELTA = "delta:"


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
    df = opened(spark, source, versionAsOf=version)
    _ = df.schema  # Spark Connect resolves the table only now
    of_table = f"{_DELTA}{detail['id']}@"

    def since(fingerprint: str) -> RawSource | None:
        if not fingerprint.startswith(of_table) or version != newest:
            return None
        then = int(fingerprint.removeprefix(of_table))
        rows = rows_since(spark, source, detail, range(then, version)) if then < version else None
        return None if rows is None else replace(raw, df=rows)

    raw = RawSource(df, lambda: f"{of_table}{version}", named_roles(source), version=version)
    return replace(raw, since=since)
