"""Marks of commits: what a release writes it reads, it reads those of release 0.1, and refuses
those of a newer one.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from semdedup_spark.tables.lease_notes import Holder, LeaseNote
from semdedup_spark.tables.marks import (
    LAYOUT,
    NewerReleaseError,
    RowHistory,
    StageMark,
    WriteProgress,
    read_mark,
)

# As release 0.1 wrote them.
EMBEDDINGS = (
    '{"run_id": "20260701T000000.000000Z", "stage": "embed", "result_key": "4f1c", "progress": '
    '1073741824, "goal": 1073741824, "made_with": "pixels 1, settings ab", "reused": 12, "batch": '
    '3, "origin": "00aa", "ordered": "c7d8e9f0a1b2c3d4/5e6f", "erased": 2, "content": ""}'
)
LEASE = (
    '{"run_id": "nightly", "stage": "lease", "result_key": "{\\"token\\": \\"t\\", \\"event\\": '
    '\\"renewed\\", \\"holder\\": {\\"host\\": \\"h\\", \\"machine\\": \\"m\\", \\"pid\\": 7, '
    '\\"started\\": \\"5\\"}, \\"since\\": 4, \\"seconds\\": 600.0, \\"at\\": \\"now\\"}", '
    '"progress": 0, "goal": 0, "made_with": "", "reused": 0, "batch": 0, "origin": "", '
    '"ordered": "", "erased": 0, "content": ""}'
)
MARK = StageMark(
    "20260701T000000.000000Z",
    "embed",
    "4f1c",
    "pixels 1, settings ab",
    rows=RowHistory(3, "00aa", "c7d8e9f0a1b2c3d4", "5e6f", 2),
    progress=WriteProgress(1073741824, 1073741824, 12),
)
NOTE = LeaseNote("nightly", "t", "renewed", Holder("h", "m", 7, "5"), 4, 600.0, "now")


def test_a_mark_is_read_as_it_was_written():
    assert read_mark(MARK.text(), "t") == MARK
    assert LeaseNote.read(NOTE.text()) == NOTE


def test_a_mark_is_of_the_layout_of_release_0_2_unless_it_tells_a_place():
    told = json.loads(MARK.text())
    assert (told.pop("layout"), "place" in told) == (2, False)
    placed = replace(MARK, place="/lake/raw")
    assert json.loads(placed.text())["layout"] == LAYOUT
    assert read_mark(placed.text(), "t") == placed
    assert json.loads(json.loads(NOTE.text())["result_key"])["layout"] == 2


def test_marks_of_release_0_1_are_read():
    assert read_mark(EMBEDDINGS, "t") == MARK
    assert MARK.rows.rows_scored == "up to 3, since c7d8e9f0a1b2, 2 erased"  # as its ledger has it
    assert MARK.rows.ordered == "c7d8e9f0a1b2c3d4/5e6f"
    assert MARK.progress.is_complete
    assert LeaseNote.read(LEASE) == NOTE
    bare = '{"run_id": "r", "stage": "select", "result_key": "k"}'
    assert read_mark(bare, "t") == StageMark("r", "select", "k")
    assert read_mark(bare, "t").rows.ordered == ""


def test_a_run_of_release_0_1_sees_the_lease():
    old, new = json.loads(LEASE), json.loads(NOTE.text())
    assert new.keys() <= old.keys()
    told = [json.loads(mark["result_key"]) for mark in (old, new)]
    assert told[0].items() <= told[1].items()


def test_what_a_newer_release_wrote_is_refused_and_not_taken_for_another_programs():
    newer = json.dumps({"layout": LAYOUT + 1, "anything": []})
    with pytest.raises(NewerReleaseError, match=r"(?s)delta.`/out/scores`.*newer release.*Hint"):
        read_mark(newer, "delta.`/out/scores`")
    lease = json.dumps({"run_id": "r", "result_key": newer})
    with pytest.raises(NewerReleaseError, match="the table leases"):
        LeaseNote.read(lease)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        "7",
        "[]",
        "null",
        "{}",
        '{"layout": 2}',
        '{"layout": "3"}',
        '{"layout": 2, "run_id": "r", "rows": {}, "progress": {}}',
        '{"run_id": "r", "stage": "s", "result_key": "k", "colour": "red"}',
    ],
)
def test_other_programs_metadata_are_no_marks(text):
    assert read_mark(text, "t") is None
    assert LeaseNote.read(text) is None
