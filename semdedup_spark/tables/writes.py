"""Writes that can be repeated: one commit, marked with who made it and how far it got."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.schema import with_comments
from semdedup_spark.tables.catalog import OutputRoot, history

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
    return _commit_of(df.sparkSession, root, table, mark)


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
    """The mark of the newest commit; ``None`` where there is no table or another hand wrote it."""
    commits = history(spark, root, table, limit=1)
    try:
        return CommitMark(**json.loads(commits[0]["userMetadata"])) if commits else None
    except (TypeError, ValueError):
        return None
