"""Names and places of the output's tables, and their versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Row, SparkSession

from semdedup_spark.errors import ConfigError, StageOrderError
from semdedup_spark.paths import absolute
from semdedup_spark.schema import quoted
from semdedup_spark.sql_text import variable_in

_PART = r"([A-Za-z_]\w*|`[^`]+`)"
_CATALOG_SCHEMA = re.compile(rf"{_PART}\.{_PART}")
VACUUM_START, VACUUM_END = "VACUUM START", "VACUUM END"
# Of the commits that leave rows as they were, those that leave the files, too.
LEAVE_FILES = (VACUUM_START, VACUUM_END, "SET TBLPROPERTIES", "UNSET TBLPROPERTIES")
_MAINTENANCE = ("OPTIMIZE", *LEAVE_FILES)


@dataclass(frozen=True)
class OutputRoot:
    """A directory or URI, or ``catalog.schema``; all tables lie under it."""

    location: str

    @classmethod
    def parse(cls, output: str) -> OutputRoot:
        """``main.dedup`` is a catalog schema; anything else a path, local ones made absolute."""
        if variable_in(output):
            raise ConfigError(
                f"the name of a table or of its place must hold no {variable_in(output)}: Spark "
                f"puts a setting or a variable of the environment there. Got {output!r}."
            )
        if _CATALOG_SCHEMA.fullmatch(output):
            return cls(output)
        if "." in output.strip(".") and "/" not in output:
            raise ConfigError(
                f"output must be a path, a URI, or catalog.schema. Got {output!r}.",
                hint=f"./{output} is a directory; `my-catalog`.schema quotes a part of a name.",
            )
        return cls(absolute(output))

    @property
    def is_catalog(self) -> bool:
        """Whether tables are named in a catalog rather than found by path."""
        return _CATALOG_SCHEMA.fullmatch(self.location) is not None

    @property
    def overwrites_commits(self) -> bool:
        """Whether two drivers that commit at the same moment may both be told that they have."""
        return self.location.startswith(("s3:", "s3a:", "s3n:"))

    def name(self, table: str) -> str:
        """The table as SQL writes it: ``delta.`/out/scores``` or ``main.dedup.scores``."""
        if self.is_catalog:
            return f"{self.location}.{table}"
        return f"delta.{quoted(self.path(table))}"

    def path(self, table: str) -> str:
        """The table's directory; only for a path root."""
        return f"{self.location}/{table}"


def is_maintenance(commit: Row) -> bool:
    """Whether a commit rearranged files or settings and left the rows as they were."""
    return commit["operation"] in _MAINTENANCE


def table_exists(spark: SparkSession, root: OutputRoot, table: str) -> bool:
    """Asked of the catalog: a query that fails would be logged as an error by Spark's listeners."""
    try:
        return spark.catalog.tableExists(root.name(table))
    except AnalysisException:
        return False


def history(spark: SparkSession, root: OutputRoot, table: str, *, limit: int) -> list[Row]:
    """The newest commits of a table, newest first; none where there is no such table."""
    if not table_exists(spark, root, table):
        return []
    try:
        return spark.sql(f"DESCRIBE HISTORY {root.name(table)} LIMIT {limit}").collect()
    except AnalysisException:
        return []


def table_id(spark: SparkSession, root: OutputRoot, table: str) -> str:
    """What tells a table from one that is made again in its place."""
    row = spark.sql(f"DESCRIBE DETAIL {root.name(table)}").select("id").first()
    return "" if row is None else str(row[0])


def last_change(spark: SparkSession, root: OutputRoot, table: str) -> str | None:
    """The newest commit that changed rows, by number and time; ``None`` where there is no table."""
    for limit in (3, 1000):
        for commit in history(spark, root, table, limit=limit):
            if not is_maintenance(commit):
                return f"version {commit['version']} of {commit['timestamp'].isoformat()}"
    return None


def read_table(
    spark: SparkSession, root: OutputRoot, table: str, version: int | None = None
) -> DataFrame:
    """The table at a version (newest if ``None``). Raises :class:`StageOrderError` if missing."""
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
            if version is None:  # it is there, and something else is wrong with it
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


@dataclass(frozen=True)
class NamedTable:
    """A Delta table that a user names: a path, URI or catalog name, ``@version`` behind it."""

    root: OutputRoot
    table: str
    version: int | None

    @classmethod
    def parse(cls, name: str) -> NamedTable:
        """``/lake/dedup/centroids@3``, ``main.dedup.centroids``."""
        place, at, version = name.rpartition("@")
        if not at or not re.fullmatch("[0-9]+", version):
            place, version = name, ""
        parent, slash, table = place.rstrip("/").rpartition("/")
        if not slash and "." in place:
            parent, _, table = place.rpartition(".")
            if not _CATALOG_SCHEMA.fullmatch(parent) or not re.fullmatch(_PART, table):
                raise ConfigError(
                    f"a table must be a path, a URI, or catalog.schema.table. Got {name!r}.",
                    hint=f"./{place} is a directory.",
                )
        elif not slash:
            parent = "."
        OutputRoot.parse(f"{parent}/{table}")  # no variable in either
        return cls(OutputRoot.parse(parent or "/"), table, int(version) if version else None)

    def newest_version(self, spark: SparkSession) -> int:
        """The version to read. Raises :class:`ConfigError` where there is no such table."""
        commits = history(spark, self.root, self.table, limit=1)
        if not commits:
            raise ConfigError(f"{self.root.name(self.table)} must be a Delta table. It is not.")
        newest = int(commits[0]["version"])
        if self.version is not None and self.version > newest:
            raise ConfigError(
                f"{self.root.name(self.table)} must have the version {self.version}. Its newest is "
                f"{newest}."
            )
        return newest if self.version is None else self.version
