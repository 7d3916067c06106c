"""Writes that can be repeated: one commit, marked with who made it and how far it got."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.errors import RunIdUsedError
from semdedup_spark.schema import with_comments
from semdedup_spark.tables.catalog import OutputRoot, history, is_maintenance

_NEAR, _FAR = 3, 1000


@dataclass(frozen=True)
class CommitMark:
    """Travels in the commit's user metadata.

    ``result_key``: identity of what is written; ``progress``: a number that grows with each commit
    of one result (how far the embedding got; 0 for a table written at once); ``rows``: counts so
    far, for whoever continues.
    """

    run_id: str
    stage: str
    result_key: str
    progress: int = 0


@dataclass(frozen=True)
class Commit:
    """``version``: the Delta version a write made; ``rows``: how many rows it wrote."""

    version: int
    rows: int


def replace_table(df: DataFrame, root: OutputRoot, table: str, mark: CommitMark) -> Commit:
    """Replace all rows and the schema, in one commit."""
    return _write(df, root, table, mark, mode="overwrite")


def append_rows(df: DataFrame, root: OutputRoot, table: str, mark: CommitMark) -> Commit:
    """Append rows, once: repeated with the same run, stage, result and progress, does nothing."""
    return _write(df, root, table, mark, mode="append")


def _write(df: DataFrame, root: OutputRoot, table: str, mark: CommitMark, *, mode: str) -> Commit:
    before = history(df.sparkSession, root, table, limit=1)
    if not before:
        mode = "overwrite"  # Delta drops the user metadata of an append that creates a named table
    writer = (
        with_comments(df, table)
        .write.format("delta")
        .mode(mode)
        .option("compression", "zstd")
        .option("userMetadata", json.dumps(asdict(mark)))
        .option("txnAppId", f"{mark.run_id}/{mark.stage}/{table}/{mark.result_key}")
        .option("txnVersion", mark.progress)
    )
    if mode == "overwrite":
        writer = writer.option("overwriteSchema", "true")
    if root.is_catalog:
        writer.saveAsTable(root.name(table))
    else:
        writer.save(root.path(table))
    commit = _commit_of(df.sparkSession, root, table, mark)
    if before and commit.version < before[0]["version"]:
        # Delta skips a transaction that it has seen, even where other commits came in between.
        raise RunIdUsedError(
            f"--run-id must be new. {mark.run_id!r} wrote {table} before, in version "
            f"{commit.version}, and another run has changed it since.",
            hint="give another --run-id, or none.",
        )
    return commit


def _commit_of(spark: SparkSession, root: OutputRoot, table: str, mark: CommitMark) -> Commit:
    """The newest commit that carries exactly this mark."""
    wanted = json.dumps(asdict(mark))
    for limit in (_NEAR, _FAR):  # other writers may have committed since
        for commit in history(spark, root, table, limit=limit):
            if commit["userMetadata"] == wanted:
                rows = int(commit["operationMetrics"]["numOutputRows"])
                return Commit(int(commit["version"]), rows)
    raise RuntimeError(f"the write to {table} left no commit; its history lacks {mark}")


def newest_mark(spark: SparkSession, root: OutputRoot, table: str) -> CommitMark | None:
    """The mark of the newest commit that changed rows; ``None`` where there is no table, or where
    that commit was made by another hand.
    """
    for commit in history(spark, root, table, limit=_FAR):
        if not is_maintenance(commit):
            try:
                return CommitMark(**json.loads(commit["userMetadata"]))
            except (TypeError, ValueError):
                return None
    return None
