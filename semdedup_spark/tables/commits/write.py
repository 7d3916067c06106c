"""Writes that can be repeated: one commit each, with a mark that says who made it and how far it
got.
"""

from __future__ import annotations

import itertools
import os
import uuid
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.errors import MixedEncodersError, SemDedupError
from semdedup_spark.schema import EMBEDDINGS, REFERENCE
from semdedup_spark.tables.catalog import OutputRoot, newest_commits, table_exists
from semdedup_spark.tables.commits.column_comments import with_comments
from semdedup_spark.tables.commits.table_features import enable_features
from semdedup_spark.tables.hash_buckets import Part
from semdedup_spark.tables.marks import Mark, StageMark
from semdedup_spark.tables.states import TableState, note_write, table_state

# zstd makes embeddings only 8 % smaller, and their scan takes twice as long.
_CODEC, _CODECS = "zstd", {EMBEDDINGS: "snappy", REFERENCE: "snappy"}
# Identifies this process among all that ever write here, and numbers its writes.
_WRITER, _WRITES = uuid.uuid4().hex, itertools.count(1)


class LostCommitError(SemDedupError, RuntimeError):
    """Raised where a commit is not there after it was made: on storage that lets it, another
    writer has put its own in its place.

    Attributes
    ----------
    retryable
        True: the same command may succeed later.
    """

    retryable = True


@dataclass(frozen=True)
class Commit:
    """A commit that was made.

    Attributes
    ----------
    version
        The version of the table that it made.
    rows
        Number of rows that it wrote.
    """

    version: int
    rows: int


def replace_table(df: DataFrame, root: OutputRoot, table: str, mark: Mark) -> Commit:
    """Replace all rows and the schema, in one commit. Repeated, it leaves the same rows.

    Parameters
    ----------
    df
        The rows.
    root
        The output that the table lies in.
    table
        Name of the table.
    mark
        The mark of the commit.

    Returns
    -------
    Commit
        The commit that was made.
    """
    return _write(df, root, table, mark, mode="overwrite")


def append_rows(df: DataFrame, root: OutputRoot, table: str, mark: Mark) -> Commit:
    """Append rows in one commit. Before a call is repeated, the table's state must be read to see
    how far it has come.

    Parameters
    ----------
    df
        The rows.
    root
        The output that the table lies in.
    table
        Name of the table.
    mark
        The mark of the commit.

    Returns
    -------
    Commit
        The commit that was made.

    Raises
    ------
    MixedEncodersError
        The newest rows of the table are of another encoder.
    """
    if mark.made_with:
        state = table_state(df.sparkSession, root, table)
        if state is not None and state.mark.made_with != mark.made_with:
            raise MixedEncodersError(
                f"{table} must hold vectors of one encoder. This run's are made with "
                f"{mark.made_with}; the newest in {root.name(table)} with {state.mark.made_with}.",
                hint="another run writes to the same output: let one finish, and give the other "
                "an output of its own.",
            )
    return _write(df, root, table, mark, mode="append")


def append_note(df: DataFrame, root: OutputRoot, table: str, mark: Mark) -> None:
    """Append rows about the work itself. Others may do so at the same time. The commit is not
    looked up: whoever must know whether it stayed reads the history of the table.

    Parameters
    ----------
    df
        At least one row. Columns that the table lacks are added to it.
    root
        The output that the table lies in.
    table
        ``runs`` or ``leases``.
    mark
        The mark of the commit.
    """
    # The ledger of an earlier release lacks the column marks.
    _commit(df, root, table, mark, "append", {"mergeSchema": "true"})


def replace_rows(df: DataFrame, root: OutputRoot, table: str, part: Part, mark: Mark) -> Commit:
    """Replace some rows of a table in one commit. Repeated, it leaves the same rows. Only files
    that may hold such rows are written anew.

    Parameters
    ----------
    df
        The new rows, all of which lie in ``part``.
    root
        The output that the table lies in.
    table
        Name of the table.
    part
        The rows that are replaced.
    mark
        The mark of the commit.

    Returns
    -------
    Commit
        Its number of rows may include other rows of the files that were written anew.
    """
    return _write(df, root, table, mark, mode="overwrite", where=part.where)


def _write(
    df: DataFrame, root: OutputRoot, table: str, mark: Mark, *, mode: str, where: str = ""
) -> Commit:
    # An increasing txnVersion makes Delta commit empty results. It does not make repetition safe,
    # the mark does. Delta silently skips a number that is not above the last one of the same
    # txnAppId, so each process has an id of its own. Delta reads the whole log for this.
    options = {"txnAppId": f"semdedup/{_WRITER}/{os.getpid()}", "txnVersion": str(next(_WRITES))}
    if where:
        options["replaceWhere"] = where
    _commit(df, root, table, mark, mode, options)
    commit = _commit_of(df.sparkSession, root, table, mark)
    if isinstance(mark, StageMark):
        note_write(root, table, TableState(commit.version, mark))
    return commit


def _commit(
    df: DataFrame, root: OutputRoot, table: str, mark: Mark, mode: str, options: dict[str, str]
) -> None:
    is_part = "replaceWhere" in options
    if not (is_part or table_exists(df.sparkSession, root, table)):
        if root.is_catalog:
            mode = "overwrite"  # Delta drops the user metadata of an append that creates the table
        elif mode == "overwrite":
            mode = "error"  # an overwrite would look for files to replace
    if mode == "overwrite" and not is_part:
        options = {**options, "overwriteSchema": "true"}
        options.pop("mergeSchema", None)
    writer = (
        with_comments(df, table, mark.made_with)
        .write.format("delta")
        .mode(mode)
        .option("compression", _CODECS.get(table, _CODEC))
        .option("userMetadata", mark.text())
        .options(**options)
    )
    try:
        enable_features(df.sparkSession, root, table, df.schema)
        if root.is_catalog:
            writer.saveAsTable(root.name(table))
        else:
            writer.save(root.path(table))
    finally:
        note_write(root, table)


def _commit_of(spark: SparkSession, root: OutputRoot, table: str, mark: Mark) -> Commit:
    """The newest commit that carries exactly this mark."""
    wanted = mark.text()
    for commits in newest_commits(spark, root, table):  # other programs may have committed since
        for commit in commits:
            if commit["userMetadata"] == wanted:
                # Delta reports no number where rows were only removed.
                rows = int(commit["operationMetrics"].get("numOutputRows", 0))
                return Commit(int(commit["version"]), rows)
    raise LostCommitError(
        f"the write to {root.name(table)} must be in its history. It is not: another writer put a "
        "commit of its own in its place.",
        hint="let one run finish, then run the command again.",
    )
