"""When housekeeping has nothing left to do."""

from datetime import datetime, timedelta

import pytest

from semdedup_spark.tables import maintenance

MONDAY = datetime(2026, 1, 5)


@pytest.mark.parametrize(
    ("days", "tidy"),
    [
        ([("WRITE", 0)], False),
        ([("WRITE", 0), ("OPTIMIZE", 1), ("VACUUM END", 1)], False),  # its files were too young
        ([("WRITE", 0), ("OPTIMIZE", 1), ("VACUUM END", 8)], True),
        ([("OPTIMIZE", 1), ("VACUUM END", 9), ("WRITE", 10)], False),
        ([("VACUUM END", 9)], False),
        ([], False),
    ],
)
def test_a_table_is_left_alone_once_nothing_is_left_to_remove(monkeypatch, days, tidy):
    commits = [
        {"operation": operation, "timestamp": MONDAY + timedelta(days=day)}
        for operation, day in reversed(days)
    ]
    monkeypatch.setattr(maintenance, "history", lambda *_, limit: commits[:limit])
    assert maintenance._is_tidy(None, None, "embeddings", 168) is tidy
