"""A Delta table that a user names in the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.sql import SparkSession

from semdedup_spark.errors import ConfigError
from semdedup_spark.masking import masked
from semdedup_spark.tables.catalog import CATALOG_SCHEMA, NAME_PART, OutputRoot, history


@dataclass(frozen=True)
class NamedTable:
    """A Delta table that a user names: a path, URI or catalog name, perhaps with ``@version``
    behind it.

    Attributes
    ----------
    root
        What the table lies in.
    table
        Its name in there.
    version
        The version that was named; the newest if ``None``.
    """

    root: OutputRoot
    table: str
    version: int | None

    def __repr__(self) -> str:
        # Masked as a whole: the last slash of a place may be one of its credentials.
        return f"NamedTable({masked(self.root.name(self.table))!r}, version={self.version})"

    @classmethod
    def parse(cls, name: str) -> NamedTable:
        """Read the name of a table.

        Parameters
        ----------
        name
            ``/lake/dedup/centroids@3``, ``main.dedup.centroids``.

        Returns
        -------
        NamedTable
            The table that is meant.

        Raises
        ------
        ConfigError
            The text is neither a path, nor a URI, nor ``catalog.schema.table``.
        """
        place, at, version = name.rpartition("@")
        if not at or not re.fullmatch("[0-9]+", version):
            place, version = name, ""
        parent, slash, table = place.rstrip("/").rpartition("/")
        if not slash and "." in place:
            parent, _, table = place.rpartition(".")
            if not CATALOG_SCHEMA.fullmatch(parent) or not re.fullmatch(NAME_PART, table):
                raise ConfigError(
                    f"a table must be a path, a URI, or catalog.schema.table. Got {name!r}.",
                    hint=f"./{place} is a directory.",
                )
        elif not slash:
            parent = "."
        elif parent and "/" not in parent:
            parent = f"./{parent}"  # a directory, although it may look like catalog.schema
        OutputRoot.parse(f"{parent}/{table}")  # no variable in either
        return cls(OutputRoot.parse(parent or "/"), table, int(version) if version else None)

    def newest_version(self, spark: SparkSession) -> int:
        """Find the version to read.

        Parameters
        ----------
        spark
            The session that reads.

        Returns
        -------
        int
            The version that was named, or the newest one.

        Raises
        ------
        ConfigError
            There is no such table, or it does not have the version that was named.
        """
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
