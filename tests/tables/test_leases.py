"""Who may work on an output: the first living claim, in the order of the commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from semdedup_spark.tables import leases
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.lease_notes import CLAIMED, RELEASED, RENEWED, Holder, LeaseNote
from semdedup_spark.tables.leases import Lease, claims_of
from semdedup_spark.tables.marks import StageMark

START = datetime(2026, 1, 1, 12)  # Spark hands times over without a zone, in local time
ELSEWHERE = Holder("other-host", "other-host boot pid:[1]", 1)


def commit(version, token, event, *, since=-1, minutes=0, holder=ELSEWHERE):
    note = LeaseNote(f"run-{token}", token, event, holder, since, 600.0, "")
    return {
        "version": version,
        "timestamp": START + timedelta(minutes=minutes),
        "userMetadata": note.text(),
    }


def claims(*commits):
    return {c.token: c for c in claims_of(sorted(commits, key=lambda c: -c["version"]))}


def at(minutes):
    return (START + timedelta(minutes=minutes)).astimezone()


def test_a_claim_lives_until_it_is_released_or_no_longer_renewed():
    found = claims(commit(0, "a", CLAIMED))["a"]
    assert [found.is_alive(at(m)) for m in (0, 9, 10)] == [True, True, False]
    renewed = claims(commit(0, "a", CLAIMED), commit(1, "a", RENEWED, since=0, minutes=8))["a"]
    assert [renewed.is_alive(at(m)) for m in (10, 17, 18)] == [True, True, False]
    ended = claims(commit(0, "a", CLAIMED), commit(1, "a", RELEASED, since=0, minutes=2))["a"]
    assert not ended.is_alive(at(2))


def test_of_two_claims_the_one_that_was_committed_first_leads():
    both = [commit(5, "late", CLAIMED), commit(4, "early", CLAIMED, minutes=1)]
    assert [c.token for c in claims_of(both)] == ["early", "late"]


def test_a_claim_too_old_to_be_seen_keeps_its_place_by_its_renewals():
    found = claims(commit(40, "b", CLAIMED), commit(41, "a", RENEWED, since=3, minutes=5))
    assert (found["a"].version, found["b"].version) == (3, 40)


def test_commits_of_another_hand_are_passed_over():
    odd = {"version": 9, "timestamp": START, "userMetadata": None}
    text = {**odd, "userMetadata": "hello"}
    foreign = {**odd, "userMetadata": StageMark("r", "lease", "no json").text()}
    assert list(claims(odd, text, foreign, commit(1, "a", CLAIMED))) == ["a"]


def test_a_process_that_has_ended_on_this_machine_holds_nothing():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    here = Holder.here()
    assert here.pid == os.getpid()
    dead = replace(here, pid=child.pid)
    assert [h.has_ended() for h in (here, dead, replace(dead, machine="another"))] == [
        False,
        bool(here.machine),
        False,
    ]
    assert not replace(dead, machine="").has_ended()
    # another process that got its number later
    assert replace(here, started="1").has_ended() == bool(here.machine)
    assert not replace(here, started="").has_ended()
    held = claims(commit(0, "a", CLAIMED, holder=dead))["a"]
    assert held.is_alive(at(1)) == (not here.machine)


def test_a_process_that_nobody_has_asked_how_it_ended_has_ended():
    child = subprocess.Popen([sys.executable, "-c", ""])
    zombie = replace(Holder.here(), pid=child.pid, started="")
    until = time.monotonic() + 10
    while not zombie.has_ended() and zombie.machine and time.monotonic() < until:
        time.sleep(0.05)
    assert zombie.has_ended() == bool(zombie.machine)
    child.wait()


@pytest.fixture
def log(monkeypatch):
    """The table's commits, oldest first, in place of storage; nobody waits."""
    commits = []

    def append(_frame, _root, _table, mark):
        row = {"version": len(commits), "userMetadata": mark.text()}
        commits.append({**row, "timestamp": datetime.now()})

    monkeypatch.setattr(leases, "append_note", append)
    monkeypatch.setattr(leases, "few_rows", lambda *_: None)
    monkeypatch.setattr(leases, "history", lambda *_, limit: commits[::-1][:limit])
    monkeypatch.setattr(leases, "sleep", lambda _: None)
    return commits


def lease(run_id, place):
    return Lease(None, OutputRoot.parse(place), run_id, seconds=600)


@pytest.mark.parametrize("place", ["/lake/dedup", "s3a://lake/dedup"])
def test_of_two_runs_one_gets_the_lease_and_the_next_when_it_is_released(log, place):
    first, second = lease("first", place), lease("second", place)
    assert first.claim() is None
    assert second.claim().run_id == "first"
    first.renew()
    assert second.claim().run_id == "first"
    first.release()
    assert second.claim() is None


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_living_claim_keeps_others_out_however_wrong_the_clock_is(log, monkeypatch, hours):
    """``hours``: by which the storage's clock, that of the commits, is before the machine's."""
    first, second = lease("first", "/lake/dedup"), lease("second", "/lake/dedup")
    append = leases.append_note

    def appended(*arguments):
        append(*arguments)
        log[-1]["timestamp"] -= timedelta(hours=hours)

    monkeypatch.setattr(leases, "append_note", appended)
    monkeypatch.setattr(Holder, "has_ended", lambda _: False)
    assert first.claim() is None
    assert second.claim().run_id == "first"
    assert first.held_by_other() is None


def test_a_run_of_the_same_name_that_is_seen_to_run_keeps_its_lease(log, monkeypatch):
    first, again = lease("nightly", "/lake/dedup"), lease("nightly", "/lake/dedup")
    here = Holder.here()
    beside = replace(here, pid=os.getppid(), started="")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(Holder, "here", classmethod(lambda _: beside))
        assert first.claim() is None
    blocked = again.claim()
    assert (blocked is not None) == bool(here.machine)
    first.release()
    assert again.claim() is None


def test_a_claim_that_another_drivers_commit_replaced_is_none(log, monkeypatch):
    """As on S3, where of two drivers that commit at the same moment the later one's stays."""
    ours, theirs = lease("ours", "s3a://lake/dedup"), lease("theirs", "s3a://lake/dedup")
    waited = []

    def settle(seconds):
        waited.append(seconds)
        if len(waited) == 1:
            log.pop()
            assert theirs.claim() is None

    monkeypatch.setattr(leases, "sleep", settle)
    assert ours.claim().run_id == "theirs"
    assert waited == [leases.SETTLE_SECONDS] * 2
    assert [json.loads(commit["userMetadata"])["run_id"] for commit in log] == ["theirs"]


def test_a_claim_replaced_before_its_writer_looked_is_made_again_or_refused(log, monkeypatch):
    append, lost = leases.append_note, []

    def losing(*arguments):
        append(*arguments)
        if not lost:
            lost.append(log.pop())

    monkeypatch.setattr(leases, "append_note", losing)
    assert lease("ours", "s3a://lake/dedup").claim() is None
    assert len(lost) == len(log) == 1


DELTA = "An error occurred while calling o95.save.\n: io.delta.exceptions."


@pytest.mark.parametrize(
    "said",
    [
        DELTA + "ConcurrentTransactionException: [DELTA_CONCURRENT_TRANSACTION] This error occurs",
        DELTA + "ProtocolChangedException: [DELTA_PROTOCOL_CHANGED] The protocol version changed",
    ],
)
def test_who_claims_at_the_same_moment_as_another_is_told_of_it(log, monkeypatch, said):
    append, other = leases.append_note, lease("other", "/lake/dedup")

    def together(*arguments):
        monkeypatch.setattr(leases, "append_note", append)
        assert other.claim() is None
        raise RuntimeError(said)  # as Py4J has it

    monkeypatch.setattr(leases, "append_note", together)
    assert lease("ours", "/lake/dedup").claim().run_id == "other"


def test_what_is_no_conflict_is_tried_once(log, monkeypatch):
    tried = []

    def failing(*arguments):
        tried.append(arguments)
        raise RuntimeError("java.io.IOException: No space left on device")

    monkeypatch.setattr(leases, "append_note", failing)
    with pytest.raises(RuntimeError):
        lease("ours", "/lake/dedup").claim()
    assert len(tried) == 1


def test_a_lease_whose_release_could_not_be_written_keeps_no_caller_of_this_process_out(
    log, monkeypatch
):
    first = lease("first", "/lake/dedup")
    assert first.claim() is None

    def full(*_arguments):
        raise RuntimeError("java.io.IOException: No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(leases, "append_note", full)
        with pytest.raises(RuntimeError, match="No space"):
            first.release()
    assert lease("second", "/lake/dedup").claim() is None


def test_a_claim_that_somebody_interrupts_keeps_no_caller_of_this_process_out(log, monkeypatch):
    written = leases.append_note

    def interrupted(*arguments):
        written(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as keys:
        keys.setattr(leases, "append_note", interrupted)
        with pytest.raises(KeyboardInterrupt):
            lease("first", "/lake/dedup").claim()
    assert lease("second", "/lake/dedup").claim() is None
