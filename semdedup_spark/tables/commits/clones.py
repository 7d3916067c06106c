"""A table of the output that is a version of another Delta table without some of its rows.

Delta's shallow clone refers to the files of the other table, and deletion vectors say which rows of
these are gone: no row is copied. That takes several commits, between which all rows are there. So
it is done in a table that nobody reads yet, and a mark is set at the end. Two tables take turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.tables.catalog import OutputRoot, newest_commits, read_table, table_exists
from semdedup_spark.tables.commits.write import Commit, LostCommitError
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.states import (
    MARK_PROPERTY,
    TableState,
    is_maintenance,
    mark_as_property,
    note_write,
    table_state,
)
from semdedup_spark.visible import masked_repr

COLUMN_MAPPING = "delta.columnMapping.mode"
# What a clone takes over from its table must not stop the deletion, nor copy the rows that go.
_PROPERTIES = {
    "delta.enableDeletionVectors": "true",
    "delta.appendOnly": "false",
    "delta.enableChangeDataFeed": "false",
}


@dataclass(frozen=True)
class Original:
    """A version of a Delta table that is cloned.

    Attributes
    ----------
    name
        The table's name as SQL writes it.
    version
        Its version.
    key
        Name of its column of ids.
    column_mapping
        Its mode of column mapping.
    """

    name: str
    version: int
    key: str
    column_mapping: str


@masked_repr
@dataclass(frozen=True)
class Chosen:
    """The rows that a clone shows.

    Attributes
    ----------
    table
        A table of the output with the columns ``id`` and ``kept``.
    version
        Its version.
    """

    table: str
    version: int


def clone_chosen(
    spark: SparkSession,
    root: OutputRoot,
    table: str,
    original: Original,
    chosen: Chosen,
    mark: StageMark,
) -> Commit:
    """Let a table show some rows of another one. Repeated, it shows the same rows. Until it is done
    the table may have all rows, so nobody must read it.

    Parameters
    ----------
    spark
        The session that writes.
    root
        The output that the table lies in.
    table
        Name of the table.
    original
        What is cloned.
    chosen
        The rows that are shown.
    mark
        The mark of the table.

    Returns
    -------
    Commit
        The version that was made, and its number of rows.

    Raises
    ------
    ReconciliationError
        The rows that are left are not the chosen ones.
    LostCommitError
        Another writer changed the table.
    """
    ids = read_table(spark, root, chosen.table, chosen.version).filter(F.col(s.KEPT))
    wanted = ids.count()
    _empty(spark, root, table, original)
    _clone(spark, root, table, original)
    _delete_others(spark, root, table, original, chosen)
    version = _newest(spark, root, table)
    left = _count(spark, root, table, version, original.key)
    if left != wanted:
        raise ReconciliationError(
            f"a clone without the removed rows must have the {wanted:,} rows that are kept. It has "
            f"{left:,}. The kept rows of the selection before are as they were.",
            hint="the source may have several rows with one id: set select.write: table.",
        )
    _set(spark, root, table, {MARK_PROPERTY: mark_as_property(mark, version)})
    state = table_state(spark, root, table)
    if state is None or state.mark != mark:
        raise LostCommitError(
            f"the clone {root.name(table)} must be as this run made it. Another writer has changed "
            "it.",
            hint="let one run finish, then run the command again.",
        )
    note_write(root, table, TableState(state.version, mark))
    return Commit(state.version, left)


def _empty(spark: SparkSession, root: OutputRoot, table: str, original: Original) -> None:
    """Delta clones onto an empty table only, and onto one of the same mode of column mapping."""
    if not table_exists(spark, root, table):
        return
    empty_clone(spark, root, table)
    if original.column_mapping != "none":
        _set(spark, root, table, {COLUMN_MAPPING: original.column_mapping})


def empty_clone(spark: SparkSession, root: OutputRoot, table: str) -> None:
    """Take all rows out of a clone, in one commit to its log.

    Parameters
    ----------
    spark
        The session that writes.
    root
        The output that the clone lies in.
    table
        Name of the clone.
    """
    _run(spark, root, table, f"DELETE FROM {root.name(table)}")


def _clone(spark: SparkSession, root: OutputRoot, table: str, original: Original) -> None:
    _run(
        spark,
        root,
        table,
        f"CREATE OR REPLACE TABLE {root.name(table)} SHALLOW CLONE {original.name} "
        f"VERSION AS OF {int(original.version)} TBLPROPERTIES ({_told(_PROPERTIES)})",
    )


def _delete_others(
    spark: SparkSession, root: OutputRoot, table: str, original: Original, chosen: Chosen
) -> None:
    """Delete all rows that are not chosen, also those without an id."""
    _run(
        spark,
        root,
        table,
        f"MERGE INTO {root.name(table)} AS original USING (SELECT {s.ID} FROM "
        f"{root.name(chosen.table)} VERSION AS OF {int(chosen.version)} WHERE {s.KEPT}) AS chosen "
        f"ON original.{s.quoted(original.key)} = chosen.{s.ID} "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE",
    )


def _set(spark: SparkSession, root: OutputRoot, table: str, properties: Mapping[str, str]) -> None:
    statement = f"ALTER TABLE {root.name(table)} SET TBLPROPERTIES ({_told(properties)})"
    _run(spark, root, table, statement)


def _told(properties: Mapping[str, str]) -> str:
    return ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())


def _run(spark: SparkSession, root: OutputRoot, table: str, statement: str) -> None:
    try:
        spark.sql(statement).collect()
    finally:
        note_write(root, table)


def _newest(spark: SparkSession, root: OutputRoot, table: str) -> int:
    """Version of the newest commit that changed rows."""
    commits: list[Row] = []
    for commits in newest_commits(spark, root, table):
        for commit in commits:
            if not is_maintenance(commit):
                return int(commit["version"])
    raise AssertionError("a table that was cloned has a commit")


def _count(spark: SparkSession, root: OutputRoot, table: str, version: int, key: str) -> int:
    # The hash has the ids read, where a number of rows would be known without any file.
    ids = F.max(F.xxhash64(F.col(s.quoted(key))))
    row = read_table(spark, root, table, version).agg(F.count(F.lit(1)), ids).first()
    return 0 if row is None else int(row[0])
