"""What a table holds: read once between two writes, and known longer than Delta's log."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from semdedup_spark.tables import states
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.commits.write import append_rows, replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.states import StateCache, TableState, table_state

FIRST, SECOND = StageMark("monday", "score", "one"), StageMark("tuesday", "score", "two")


@pytest.fixture
def root(spark, tmp_path):
    """Of an output with the table ``scores``."""
    root = OutputRoot.parse(str(tmp_path / "out"))
    replace_table(spark.range(3), root, "scores", FIRST)
    return root


def test_a_state_is_read_once_between_two_writes_of_this_process(spark, root, monkeypatch):
    asked, newest_commits = [], states.newest_commits

    def counted(spark, root, table):
        for commits in newest_commits(spark, root, table):
            asked.append(table)  # for each list that is read, as each is a query
            yield commits

    monkeypatch.setattr(states, "newest_commits", counted)
    cache = StateCache(spark, root)
    assert [cache.state("scores") for _ in range(3)] == [TableState(0, FIRST)] * 3
    assert asked == ["scores"]
    append_rows(spark.range(1), root, "scores", SECOND)
    assert [cache.state("scores") for _ in range(3)] == [TableState(1, SECOND)] * 3
    assert asked == ["scores"]  # what a write leaves is known
    assert cache.state("absent") is None


def test_what_was_written_under_an_earlier_lease_is_read_again(spark, root):
    spark.sql(f"DELETE FROM {root.name('scores')} WHERE id = 0")
    assert StateCache(spark, root).state("scores") is None


def test_a_state_is_known_when_deltas_log_has_forgotten_the_write(spark, root):
    name, log = root.name("scores"), Path(root.path("scores"), "_delta_log")
    two_months_ago = time.time() - 60 * 86400
    for file in log.iterdir():
        os.utime(file, (two_months_ago, two_months_ago))
    every = "('delta.checkpointInterval' = '1')"
    for _ in range(2):  # a checkpoint, and then one that removes what is before the first
        spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES {every}")
    left = [row["version"] for row in spark.sql(f"DESCRIBE HISTORY {name}").collect()]
    assert left == [2, 1]
    assert table_state(spark, root, "scores") is None
    at = {"scores": TableState(0, FIRST)}
    assert table_state(spark, root, "scores", at.get) == TableState(2, FIRST)
    later = {"scores": TableState(3, FIRST)}  # of a table that was made anew since
    assert table_state(spark, root, "scores", later.get) is None
    spark.sql(f"DELETE FROM {name} WHERE id = 0")
    assert table_state(spark, root, "scores", at.get) is None
