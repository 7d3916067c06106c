"""Writes that can be repeated: one commit, marked with who made it and how far it got."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.errors import MixedEncodersError, SemDedupError
from semdedup_spark.schema import EMBEDDINGS, REFERENCE
from semdedup_spark.tables.catalog import OutputRoot, history, is_maintenance, table_exists
from semdedup_spark.tables.column_comments import with_comments
from semdedup_spark.tables.hash_buckets import Part
from semdedup_spark.tables.table_features import enable_features

_NEAR, _FAR = 3, 1000
# Embeddings hardly get smaller: zstd takes 8 % off, and makes a scan take twice as long.
_CODEC, _CODECS = "zstd", {EMBEDDINGS: "snappy", REFERENCE: "snappy"}
# This process among all that ever write here, and its writes in their order.
_WRITER, _WRITES = uuid.uuid4().hex, itertools.count(1)


class LostCommitError(SemDedupError, RuntimeError):
    """Raised where a commit is not there after it was made: another writer has put its own in its
    place, on storage that lets it.
    """

    retryable = True


@dataclass(frozen=True)
class CommitMark:
    """Travels in the commit's user metadata, and makes repetition safe.

    ``result_key``: identity of what is written; ``progress``: how far this commit brings it (the
    embedding's place), complete at ``goal``; both 0 for a table written at once; ``made_with``:
    identity of what made the rows, which never mix; ``reused``: rows that came from an earlier
    version of the table. ``batch``: the newest one in the table; ``origin``: result key with which
    the table began; ``ordered``: the one since which rows were only added behind all others in rank
    order, or taken away; ``erased``: rows taken out of this result on request; ``content``:
    identity of the rows themselves, of tables that others are only valid with.
    """

    run_id: str
    stage: str
    result_key: str
    progress: int = 0
    goal: int = 0
    made_with: str = ""
    reused: int = 0
    batch: int = 0
    origin: str = ""
    ordered: str = ""
    erased: int = 0
    content: str = ""


@dataclass(frozen=True)
class Commit:
    """``version``: the Delta version a write made; ``rows``: how many rows it wrote."""

    version: int
    rows: int


def replace_table(df: DataFrame, root: OutputRoot, table: str, mark: CommitMark) -> Commit:
    """Replace all rows and the schema, in one commit. Repeated, it leaves the same rows."""
    return _write(df, root, table, mark, mode="overwrite")


def append_rows(
    df: DataFrame, root: OutputRoot, table: str, mark: CommitMark, *, shared: bool = False
) -> Commit:
    """Append rows in one commit. Whoever repeats it must first ask :func:`table_state` how far the
    table has come. ``shared``: there is at least one row, and others may append meanwhile.

    Raises :class:`MixedEncodersError` where the table's newest rows are of another encoder.
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
    return _write(df, root, table, mark, mode="append", shared=shared)


def replace_rows(
    df: DataFrame, root: OutputRoot, table: str, part: Part, mark: CommitMark
) -> Commit:
    """Replace the rows of ``part`` by ``df``, all of whose rows lie in it, in one commit. Repeated,
    it leaves the same rows. Only files that may hold such rows are written anew, and ``rows`` of
    the result may count other rows of these.
    """
    return _write(df, root, table, mark, mode="overwrite", where=part.where)


def _write(
    df: DataFrame,
    root: OutputRoot,
    table: str,
    mark: CommitMark,
    *,
    mode: str,
    where: str = "",
    shared: bool = False,
) -> Commit:
    if mode == "append" and not table_exists(df.sparkSession, root, table):
        mode = "overwrite"  # Delta drops the user metadata of an append that creates a named table
    enable_features(df.sparkSession, root, table, df.schema)
    writer = (
        with_comments(df, table, mark.made_with)
        .write.format("delta")
        .mode(mode)
        .option("compression", _CODECS.get(table, _CODEC))
        .option("userMetadata", json.dumps(asdict(mark)))
    )
    if not shared:
        # Repetition is made safe by the mark, not by these: Delta silently skips a number that is
        # not above the last one of its writer, which hence is new with each process. That there is
        # one makes Delta commit even an empty result; for which it reads the table's whole log.
        writer = writer.option("txnAppId", f"semdedup/{_WRITER}/{os.getpid()}")
        writer = writer.option("txnVersion", next(_WRITES))
    if where:
        writer = writer.option("replaceWhere", where)
    elif mode == "overwrite":
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
                # Delta counts no rows where some were only taken away.
                rows = int(commit["operationMetrics"].get("numOutputRows", 0))
                return Commit(int(commit["version"]), rows)
    raise LostCommitError(
        f"the write to {root.name(table)} must be in its history. It is not: another writer put a "
        "commit of its own in its place.",
        hint="let one run finish, then run the command again.",
    )


@dataclass(frozen=True)
class TableState:
    """``version``: the newest; ``mark``: of the newest commit that changed rows."""

    version: int
    mark: CommitMark

    def holds(self, stage: str, result_key: str) -> bool:
        """Whether the rows are, wholly or so far, this result of this stage."""
        return (self.mark.stage, self.mark.result_key) == (stage, result_key)


def table_state(spark: SparkSession, root: OutputRoot, table: str) -> TableState | None:
    """What the table holds, by its marks; ``None`` where there is no table, or where another hand
    made the newest commit that changed rows.
    """
    for limit in (_NEAR, _FAR):
        commits = history(spark, root, table, limit=limit)
        for commit in commits:
            if is_maintenance(commit):
                continue
            try:
                mark = CommitMark(**json.loads(commit["userMetadata"]))
            except (TypeError, ValueError):
                return None
            return TableState(int(commits[0]["version"]), mark)
    return None


def mark_at(spark: SparkSession, root: OutputRoot, table: str, version: int) -> CommitMark | None:
    """The mark of the commit that made a version, or the newest before it that has one."""
    for commit in history(spark, root, table, limit=_FAR):
        if int(commit["version"]) <= version:
            try:
                return CommitMark(**json.loads(commit["userMetadata"]))
            except (TypeError, ValueError):
                continue
    return None
