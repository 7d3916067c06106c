"""What a table holds, as the newest mark in its history says, and a cache of that."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Row, SparkSession

from semdedup_spark.tables.catalog import (
    FAR,
    OutputRoot,
    ask_again,
    history,
    newest_commits,
)
from semdedup_spark.tables.marks import StageMark, read_mark

# How often this process has written each table, by its name. A cached state is valid while the
# number stays the same.
_WRITTEN: Counter[str] = Counter()

VACUUM_START, VACUUM_END = "VACUUM START", "VACUUM END"
# Operations that leave the files of a table as they are, and so its rows.
LEAVE_FILES = (VACUUM_START, VACUUM_END, "SET TBLPROPERTIES", "UNSET TBLPROPERTIES")
_MAINTENANCE = ("OPTIMIZE", *LEAVE_FILES)
# Commits that take no user metadata. The mark of a clone is a property of its table.
_UNMARKED, MARK_PROPERTY = ("CLONE", "MERGE"), "semdedup.mark"


@dataclass(frozen=True)
class TableState:
    """A table as the history of its commits describes it.

    Attributes
    ----------
    version
        The newest version.
    mark
        The mark of the newest commit that changed rows.
    """

    version: int
    mark: StageMark

    def holds(self, stage: str, result_key: str) -> bool:
        """Tell whether the rows are this result of this stage, complete or up to now.

        Parameters
        ----------
        stage
            Name of the stage.
        result_key
            Identity of its result.

        Returns
        -------
        bool
            Whether the newest commit that changed rows was made for this result.
        """
        return (self.mark.stage, self.mark.result_key) == (stage, result_key)


# What the last write of this process left in each table, by its name, where that is known.
_LEFT: dict[str, TableState] = {}


def is_maintenance(commit: Row) -> bool:
    """Tell whether a commit rearranged files or settings and left the rows as they were.

    Parameters
    ----------
    commit
        A row of ``DESCRIBE HISTORY``.

    Returns
    -------
    bool
        Whether it is OPTIMIZE, VACUUM, or a change of table properties.
    """
    return commit["operation"] in _MAINTENANCE


def table_state(
    spark: SparkSession,
    root: OutputRoot,
    table: str,
    recorded: Callable[[str], TableState | None] = lambda _: None,
) -> TableState | None:
    """Read what the table holds from its history.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.
    recorded
        Returns the state of a table that was noted elsewhere. It is asked where Delta's log, which
        keeps commits for 30 days, has forgotten the last one that changed rows.

    Returns
    -------
    TableState | None
        ``None`` where there is no table, or where another program made the newest commit that
        changed rows.
    """
    commits: list[Row] = []
    for commits in newest_commits(spark, root, table):
        for commit in commits:
            if is_maintenance(commit):
                continue
            mark = _mark_of(spark, root, table, commit)
            return None if mark is None else TableState(int(commits[0]["version"]), mark)
    known = recorded(table) if commits else None
    if known is None:
        return None
    newest, oldest = int(commits[0]["version"]), int(commits[-1]["version"])
    # All commits since the one that was noted must be seen: they have changed no row.
    return TableState(newest, known.mark) if oldest - 1 <= known.version <= newest else None


def mark_as_property(mark: StageMark, version: int) -> str:
    """Write a mark as the value of a property, for SQL text.

    Parameters
    ----------
    mark
        The mark.
    version
        The version whose rows it describes. Whoever changes rows makes another one.

    Returns
    -------
    str
        Letters, digits and ``.-_=``, whatever the name of the run.
    """
    return f"{version}.{base64.urlsafe_b64encode(mark.text().encode()).decode()}"


def _mark_of(spark: SparkSession, root: OutputRoot, table: str, last: Row) -> StageMark | None:
    """The mark of the newest commit that changed rows."""
    text = last["userMetadata"]
    if text is None and last["operation"] in _UNMARKED:
        detail = spark.sql(f"DESCRIBE DETAIL {root.name(table)}").select("properties").first()
        told = {} if detail is None else dict(detail[0] or {})
        version, _, mark = told.get(MARK_PROPERTY, "").partition(".")
        if version != str(last["version"]):
            return None
        text = base64.urlsafe_b64decode(mark).decode()
    return read_mark(text, root.name(table))


def mark_at(spark: SparkSession, root: OutputRoot, table: str, version: int) -> StageMark | None:
    """Read the mark of a version.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the table lies in.
    table
        Name of the table.
    version
        A version of the table.

    Returns
    -------
    StageMark | None
        The mark of the commit that made the version, or of the newest commit before it that has
        one. ``None`` where no such commit is known.
    """
    for commit in history(spark, root, table, limit=FAR):
        if int(commit["version"]) <= version:
            mark = read_mark(commit["userMetadata"], root.name(table))
            if mark is not None:
                return mark
    return None


def last_change(spark: SparkSession, root: OutputRoot, table: str) -> str | None:
    """Name the newest commit that changed rows.

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
    str | None
        The commit's version and time; ``None`` where there is no table.
    """
    for commits in newest_commits(spark, root, table):
        for commit in commits:
            if not is_maintenance(commit):
                return f"version {commit['version']} of {commit['timestamp'].isoformat()}"
    return None


def note_write(root: OutputRoot, table: str, left: TableState | None = None) -> None:
    """Make cached states of a table invalid. Every function of this package that commits to a table
    calls it, also where the commit fails: the commit may have been made all the same.

    Parameters
    ----------
    root
        The output that the table lies in.
    table
        Name of the table.
    left
        What the table holds now, where that is known.
    """
    name = root.name(table)
    _WRITTEN[name] += 1
    _LEFT.pop(name, None)
    ask_again(root, table)
    if left is not None:
        _LEFT[name] = left


class StateCache:
    """States of the tables of one output, each read from the history at most once.

    Use it only while other processes are kept out of the output by a lease: their writes are not
    seen.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output that the tables lie in.
    recorded
        See :func:`table_state`.
    """

    def __init__(
        self,
        spark: SparkSession,
        root: OutputRoot,
        recorded: Callable[[str], TableState | None] = lambda _: None,
    ) -> None:
        self._spark = spark
        self._root = root
        self._recorded = recorded
        self._begin = Counter(_WRITTEN)
        self._known: dict[str, tuple[int, TableState | None]] = {}

    def state(self, table: str) -> TableState | None:
        """Tell what the table holds; see :func:`table_state`.

        Parameters
        ----------
        table
            Name of the table.

        Returns
        -------
        TableState | None
            As the last write of this process left it, or as it was first read.
        """
        name = self._root.name(table)
        written = _WRITTEN[name]
        known = self._known.get(table)
        if known is None or known[0] != written:
            # What was written before the lease may have been changed by others in between.
            left = _LEFT.get(name) if written > self._begin[name] else None
            known = written, left or table_state(self._spark, self._root, table, self._recorded)
            self._known[table] = known
        return known[1]
