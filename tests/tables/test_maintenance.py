"""When housekeeping has nothing left to do, and that it does only the rest."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from semdedup_spark.tables import maintenance
from semdedup_spark.tables.catalog import OutputRoot

MONDAY = datetime(2026, 1, 5)


WEEK, MONTH = 168, 720


def commit(operation, day, asked=None):
    """``asked``: of a VACUUM, its retention in hours."""
    parameters = {} if asked is None else {"specifiedRetentionMillis": str(asked * 3_600_000)}
    moment = MONDAY + timedelta(days=day)
    return {"operation": operation, "timestamp": moment, "operationParameters": parameters}


def vacuum(day, asked=WEEK):
    return [commit("VACUUM START", day, asked), commit("VACUUM END", day)]


WRITTEN = commit("WRITE", 0)


@pytest.mark.parametrize(
    ("commits", "tidy"),
    [
        ([WRITTEN], False),
        ([WRITTEN, commit("OPTIMIZE", 1), *vacuum(1)], False),  # its files were too young
        ([WRITTEN, commit("OPTIMIZE", 1), *vacuum(9)], True),
        ([WRITTEN, *vacuum(1), commit("OPTIMIZE", 9), *vacuum(9)], False),  # that replaced files
        ([WRITTEN, commit("OPTIMIZE", 9)], False),  # killed before it came to VACUUM
        ([WRITTEN, commit("VACUUM START", 9, WEEK)], False),  # or in the middle of it
        ([WRITTEN, commit("SET TBLPROPERTIES", 9)], False),
        ([WRITTEN, *vacuum(10, MONTH)], False),  # it spared what a week would not
        ([WRITTEN, *vacuum(10, MONTH), *vacuum(12)], True),
        ([commit("OPTIMIZE", 1), *vacuum(9), commit("WRITE", 10)], False),
        (vacuum(9), False),
        ([], False),
    ],
)
def test_a_table_is_left_alone_once_nothing_is_left_to_remove(commits, tidy):
    assert maintenance.is_tidy(commits[::-1], WEEK) is tidy


def aged(*ages, first=0):
    """Commits of these ages in hours, the first of them with this version; newest first."""
    now = datetime.now()
    return [
        {**commit("WRITE", 0), "version": first + i, "timestamp": now - timedelta(hours=age)}
        for i, age in enumerate(ages)
    ][::-1]


@pytest.mark.parametrize(
    ("commits", "young"),
    [
        (aged(WEEK - 1, 5), True),
        (aged(WEEK + 1, 5), False),  # it may have replaced files of its first version
        (aged(WEEK - 1, 5, first=1), False),  # what the first commit did is not known
        ([], False),
    ],
)
def test_a_table_is_young_where_each_of_its_commits_is(commits, young):
    assert maintenance.is_young(commits, WEEK) is young


class Lake:
    """Answers DESCRIBE DETAIL, and notes the statements that change a table."""

    def __init__(self, files, properties=None):
        self.detail = (files, 2**20, properties or {})
        self.done = []

    def sql(self, statement):
        if not statement.startswith("DESCRIBE"):
            self.done.append(statement.split()[0])
        chosen = SimpleNamespace(first=lambda: self.detail, collect=list)
        return SimpleNamespace(select=lambda *_: chosen, limit=lambda _: chosen, collect=list)


VECTORS = {"delta.enableDeletionVectors": "true"}


@pytest.mark.parametrize(
    ("files", "properties", "age", "done", "spared"),
    [
        (3, {}, WEEK + 1, ["OPTIMIZE", "VACUUM"], 0),
        (1, {}, WEEK + 1, ["VACUUM"], 1),
        (1, VECTORS, WEEK + 1, ["OPTIMIZE", "VACUUM"], 0),  # deleted rows are still in the file
        (3, {}, WEEK - 1, ["OPTIMIZE"], 1),
        (1, {}, WEEK - 1, [], 2),
        (0, {}, WEEK - 1, [], 2),
    ],
)
def test_only_what_may_find_something_is_run_and_the_rest_is_named(
    monkeypatch, files, properties, age, done, spared
):
    lake = Lake(files, properties)
    monkeypatch.setattr(maintenance, "history", lambda *_, limit: aged(age, 2)[:limit])
    root = OutputRoot.parse("/nowhere")
    tidied = maintenance.tidy_table(lake, root, "scores", retain_hours=WEEK)
    assert lake.done == done
    assert len(tidied.spared) == spared
    if files < 2 and not properties:
        words = "one file" if files else "no file"
        assert tidied.spared[0] == f"{words}: nothing to compact"
    if age < WEEK:
        assert tidied.spared[-1] == "nothing is 168 hours old yet"
