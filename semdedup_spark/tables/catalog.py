"""Names and places of the output's tables, and their versions."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Row, SparkSession

from semdedup_spark.errors import StageOrderError

_CATALOG_SCHEMA = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
_MAINTENANCE = (
    "OPTIMIZE",
    "VACUUM START",
    "VACUUM END",
    "SET TBLPROPERTIES",
    "UNSET TBLPROPERTIES",
)
_LOOK_BACK = 100


@dataclass(frozen=True)
class OutputRoot:
    """A directory or URI, or ``catalog.schema``; all tables lie under it."""

    location: str

    @classmethod
    def parse(cls, output: str) -> OutputRoot:
        """``main.dedup`` is a catalog schema; anything else a path, local ones made absolute."""
        if _CATALOG_SCHEMA.fullmatch(output) or "://" in output or output.startswith("dbfs:"):
            return cls(output.rstrip("/"))
        return cls(os.path.abspath(output))

    @property
    def is_catalog(self) -> bool:
        """Whether tables are named in a catalog rather than found by path."""
        return _CATALOG_SCHEMA.fullmatch(self.location) is not None

    def name(self, table: str) -> str:
        """The table as SQL writes it: ``delta.`/out/scores``` or ``main.dedup.scores``."""
        if self.is_catalog:
            return f"{self.location}.{table}"
        return "delta.`" + self.path(table).replace("`", "``") + "`"

    def path(self, table: str) -> str:
        """The table's directory; only for a path root."""
        return f"{self.location}/{table}"


def unchanged_version(
    spark: SparkSession, root: OutputRoot, table: str, recorded: int, *, harmless: str = ""
) -> int | None:
    """The newest version if its rows are those of version ``recorded``; ``None`` if rows may have
    changed since or the table is gone.

    Maintenance commits change no rows, nor do those whose user metadata contains ``harmless``.
    """
    commits = history(spark, root, table, limit=_LOOK_BACK)
    if not commits or commits[0]["version"] < recorded:
        return None
    newest = int(commits[0]["version"])
    since = [commit for commit in commits if commit["version"] > recorded]
    if len(since) < newest - recorded:  # more commits than were looked at
        return None
    quiet = all(
        is_maintenance(commit) or (harmless and harmless in (commit["userMetadata"] or ""))
        for commit in since
    )
    return newest if quiet else None


def is_maintenance(commit: Row) -> bool:
    """Whether a commit rearranged files or settings and left the rows as they were."""
    return commit["operation"] in _MAINTENANCE


def history(spark: SparkSession, root: OutputRoot, table: str, *, limit: int) -> list[Row]:
    """The newest commits of a table, newest first; none where there is no such table."""
    try:
        return spark.sql(f"DESCRIBE HISTORY {root.name(table)} LIMIT {limit}").collect()
    except AnalysisException:
        return []


def read_table(
    spark: SparkSession, root: OutputRoot, table: str, version: int | None = None
) -> DataFrame:
    """The table at a version (newest if ``None``). Raises :class:`StageOrderError` if missing."""
    reader = spark.read if version is None else spark.read.option("versionAsOf", version)
    try:
        if root.is_catalog:
            return reader.table(root.name(table))
        return reader.format("delta").load(root.path(table))
    except AnalysisException as error:
        raise StageOrderError(
            f"the table {table} must exist under {root.location}. It does not.",
            hint="run `semdedup run`, or the stages embed, cluster, score, select in this order.",
        ) from error
