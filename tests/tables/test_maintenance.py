"""When housekeeping has nothing left to do."""

from datetime import datetime, timedelta

import pytest

from semdedup_spark.tables import maintenance

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
def test_a_table_is_left_alone_once_nothing_is_left_to_remove(monkeypatch, commits, tidy):
    newest_first = commits[::-1]
    monkeypatch.setattr(maintenance, "history", lambda *_, limit: newest_first[:limit])
    assert maintenance.is_tidy(None, None, "embeddings", WEEK) is tidy
