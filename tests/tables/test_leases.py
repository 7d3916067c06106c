"""Who may work on an output: the first living claim, in the order of the commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from semdedup_spark.tables.leases import CLAIMED, RELEASED, RENEWED, Holder, claims_of
from semdedup_spark.tables.writes import CommitMark

START = datetime(2026, 1, 1, 12)  # Spark hands times over without a zone, in local time
ELSEWHERE = Holder("other-host", "other-host boot pid:[1]", 1)


def commit(version, token, event, *, since=-1, minutes=0, holder=ELSEWHERE):
    told = {"token": token, "event": event, "holder": asdict(holder)}
    told |= {"since": since, "seconds": 600.0, "at": ""}
    mark = CommitMark(f"run-{token}", "lease", json.dumps(told))
    return {
        "version": version,
        "timestamp": START + timedelta(minutes=minutes),
        "userMetadata": json.dumps(asdict(mark)),
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
    foreign = {**odd, "userMetadata": json.dumps(asdict(CommitMark("r", "lease", "no json")))}
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
    held = claims(commit(0, "a", CLAIMED, holder=dead))["a"]
    assert held.is_alive(at(1)) == (not here.machine)
