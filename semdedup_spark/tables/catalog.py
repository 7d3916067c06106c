"""Names and places of the output's tables, and their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Row, SparkSession

from semdedup_spark.causes import Kind
from semdedup_spark.errors import ConfigError, StageOrderError
from semdedup_spark.failures import refuse_elsewhere
from semdedup_spark.masking import masked
from semdedup_spark.paths import absolute
from semdedup_spark.schema import quoted
from semdedup_spark.sql_text import variable_in

NAME_PART = r"([A-Za-z_]\w*|`[^`]+`)"
CATALOG_SCHEMA = re.compile(rf"{NAME_PART}\.{NAME_PART}")
NEAR, FAR = 3, 1000  # How many commits are looked at first, and at most.
_UNCLEAR = (Kind.ACCESS, Kind.UNKNOWN)  # Such failures do not say that a table is not there.
# By the place of an output which of its tables are there, while a lease keeps others out of it.
_SEEN: dict[str, dict[str, bool]] = {}


@dataclass(frozen=True)
class OutputRoot:
    """Where the tables of an output are: a directory or URI, or ``catalog.schema``.

    Attributes
    ----------
    location
        The directory, the URI, or the name of the schema. All tables lie under it.
    """

    location: str

    def __repr__(self) -> str:
        return f"OutputRoot(location={masked(self.location)!r})"

    @classmethod
    def parse(cls, output: str) -> OutputRoot:
        """Read the configuration key ``output``.

        Parameters
        ----------
        output
            ``main.dedup`` is a catalog schema. All else is a path; a local one is made absolute.

        Returns
        -------
        OutputRoot
            The place of the tables.

        Raises
        ------
        ConfigError
            The text is neither of these, or Spark would replace a variable in it.
        """
        if variable_in(output):
            raise ConfigError(
                f"the name of a table or of its place must hold no {variable_in(output)}: Spark "
                f"puts a setting or a variable of the environment there. Got {output!r}."
            )
        is_schema = CATALOG_SCHEMA.fullmatch(output) is not None
        if not is_schema and "." in output.strip(".") and "/" not in output:
            raise ConfigError(
                f"output must be a path, a URI, or catalog.schema. Got {output!r}.",
                hint=f"./{output} is a directory; `my-catalog`.schema quotes a part of a name.",
            )
        return cls(output if is_schema else absolute(output))

    @property
    def is_catalog(self) -> bool:
        """Whether tables are named in a catalog rather than found by path."""
        return CATALOG_SCHEMA.fullmatch(self.location) is not None

    @property
    def overwrites_commits(self) -> bool:
        """Whether two drivers that commit at the same moment may both be told of success."""
        return self.location.startswith(("s3:", "s3a:", "s3n:"))

    def name(self, table: str) -> str:
        """Write the table's name as SQL does.

        Parameters
        ----------
        table
            Name of the table in this package.

        Returns
        -------
        str
            ``delta.`/out/scores``` or ``main.dedup.scores``.
        """
        at = self.location
        return f"{at}.{table}" if self.is_catalog else f"delta.{quoted(self.path(table))}"

    def path(self, table: str) -> str:
        """Write the table's directory. Only for an output that is a path.

        Parameters
        ----------
        table
            Name of the table in this package.

        Returns
        -------
        str
            The directory or URI.
        """
        return f"{self.location}/{table}"


def table_exists(spark: SparkSession, root: OutputRoot, table: str) -> bool:
    """Ask the catalog whether a table is there. A query that fails would be logged as an error by
    Spark's listeners.

    Parameters
    ----------
    spark
        The session that asks.
    root
        The output that the table lies in.
    table
        Name of the table.

    Returns
    -------
    bool
        Whether it is there.
    """
    seen = _SEEN.get(root.location, {})
    if table not in seen:
        try:
            seen[table] = spark.catalog.tableExists(root.name(table))
        except AnalysisException as error:
            refuse_elsewhere(error, *_UNCLEAR)
            seen[table] = False
    return seen[table]


@contextmanager
def remembered_tables(root: OutputRoot) -> Iterator[None]:
    """Ask the catalog for each table once until the ``with`` block ends. Use it only while other
    processes are kept out of the output by a lease. Each question takes as long as a small query.

    Parameters
    ----------
    root
        The output.

    Yields
    ------
    None
        Answers are remembered.
    """
    _SEEN[root.location] = {}
    try:
        yield
    finally:
        _SEEN.pop(root.location, None)


def ask_again(root: OutputRoot, table: str) -> None:
    """Forget whether a table is there: it may have come or gone.

    Parameters
    ----------
    root
        The output that the table lies in.
    table
        Name of the table.
    """
    _SEEN.get(root.location, {}).pop(table, None)


def history(spark: SparkSession, root: OutputRoot, table: str, *, limit: int) -> list[Row]:
    """Read the newest commits of a table.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.
    limit
        Number of commits to read at most.

    Returns
    -------
    list[Row]
        Rows of ``DESCRIBE HISTORY``, newest first. Empty where there is no such table.
    """
    if not table_exists(spark, root, table):
        return []
    try:
        return spark.sql(f"DESCRIBE HISTORY {root.name(table)} LIMIT {limit}").collect()
    except AnalysisException as error:
        refuse_elsewhere(error, *_UNCLEAR)
        return []


def newest_commits(spark: SparkSession, root: OutputRoot, table: str) -> Iterator[list[Row]]:
    """Look back in the history of a table, a few commits first and then many. Most callers find
    what they look for among the few, and stop there.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.

    Yields
    ------
    list[Row]
        Commits, newest first. The second list begins with those of the first.
    """
    for limit in (NEAR, FAR):
        yield history(spark, root, table, limit=limit)


def table_id(spark: SparkSession, root: OutputRoot, table: str) -> str:
    """Read what tells a table from one that is made again in its place.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.

    Returns
    -------
    str
        Delta's id of the table; empty where there is none.
    """
    row = spark.sql(f"DESCRIBE DETAIL {root.name(table)}").select("id").first()
    return "" if row is None else str(row[0])


def read_table(
    spark: SparkSession, root: OutputRoot, table: str, version: int | None = None
) -> DataFrame:
    """Read a table at a version.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.
    version
        A version of the table; the newest if ``None``.

    Returns
    -------
    DataFrame
        The rows, read when they are asked for.

    Raises
    ------
    AnalysisException
        The table is there, and something else is wrong with it.
    StageOrderError
        There is no such table, or it no longer has this version.
    """
    reader = spark.read if version is None else spark.read.option("versionAsOf", version)
    try:
        if root.is_catalog:
            df = reader.table(root.name(table))
        else:
            df = reader.format("delta").load(root.path(table))
        _ = df.schema  # Spark Connect looks only now
        return df
    except AnalysisException as error:
        if table_exists(spark, root, table):
            if version is None:  # the table exists; the error has another cause
                raise
            raise StageOrderError(
                f"the table {table} under {root.location} must still have its version {version}. "
                "It does not.",
                hint="Delta's log forgets old versions, and VACUUM removes their files.",
            ) from error
        raise StageOrderError(
            f"the table {table} must exist under {root.location}. It does not.",
            hint="run `semdedup run`, or the stages embed, cluster, score, select in this order.",
        ) from error
