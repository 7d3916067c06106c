"""Who works on an output now: a lease that is claimed by a commit and ends by itself.

A claim, its renewals and its release are rows appended to the table ``leases``, each in a commit of
its own. Delta puts commits in one order for everybody, so of two runs that claim at once both see
which came first. (On S3 it does so within one driver only: of two drivers' commits at the same
moment the later one replaces the other, so there a claim is looked at once more.) A lease that is
not renewed ends; that of a process that has died on this machine ends at once. No file has to be
removed by hand.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from time import sleep

from pyspark.sql import Row, SparkSession

from semdedup_spark import schema as s
from semdedup_spark.tables.catalog import OutputRoot, history
from semdedup_spark.tables.commits import LostCommitError, append_rows
from semdedup_spark.tables.lease_notes import CLAIMED, RELEASED, RENEWED, Holder, LeaseNote
from semdedup_spark.tables.literal_rows import few_rows

# A run renews a few times an hour, so this many commits hold every lease that can be alive.
_LOOK_BACK = 200
_ATTEMPTS = 5
_CONFLICT = re.compile(r"\b(Concurrent|ProtocolChanged|MetadataChanged)\w*Exception\b")
# From looking whether a commit is there to having put it there, on storage where two writers may do
# so at once; afterwards one of them is gone.
SETTLE_SECONDS = 3.0
# Tokens of the leases that this process holds and renews now.
_IN_USE: set[str] = set()


@dataclass(frozen=True)
class Claim:
    """One run's lease. ``version``: of the commit that claimed it; ``heard``: last sign of life."""

    token: str
    run_id: str
    holder: Holder
    version: int
    heard: datetime
    released: bool
    seconds: float

    def is_alive(self, now: datetime) -> bool:
        """Whether others must keep out."""
        expires = self.heard + timedelta(seconds=self.seconds)
        return not self.released and now < expires and not self.holder.has_ended()


class Lease:
    """A lease of an output for the process here, ``seconds`` long unless it is renewed."""

    def __init__(
        self, spark: SparkSession, root: OutputRoot, run_id: str, *, seconds: float
    ) -> None:
        self._spark = spark
        self._root = root
        self._run_id = run_id
        self._token = uuid.uuid4().hex
        self._seconds = float(seconds)
        self._since = -1

    def claim(self) -> Claim | None:
        """``None``: it is ours. Otherwise whose it is, and nothing of ours remains."""
        for _ in range(_ATTEMPTS):
            other = self.held_by_other()
            if other is not None:
                return other
            if self._claimed():
                break
        else:
            raise LostCommitError(f"claims of {self._root.name(s.LEASES)} do not stay there")
        other = self.held_by_other(before=self._since)
        if other is not None:  # it claimed while we looked
            self.release()
        return other

    def _claimed(self) -> bool:
        """Whether our claim is there to stay."""
        try:
            self._since = self._note(CLAIMED)
        except LostCommitError:
            return False
        if not self._root.overwrites_commits:
            return True
        sleep(SETTLE_SECONDS)
        return any(claim.token == self._token for claim in read_claims(self._spark, self._root))

    def held_by_other(self, *, before: int | None = None) -> Claim | None:
        """The first living claim of another run, if only those ``before`` a version count. A run
        of the same name is this one, tried again, unless its process is seen to run, or another
        caller in this process is at work in it.

        Once ours is among them, the time is that of our own last sign of life: one clock, that of
        the storage, then dates all of them, however wrong the clocks of the machines are.
        """
        claims = read_claims(self._spark, self._root)
        own = (claim.heard for claim in claims if claim.token == self._token)
        now = next(own, datetime.now(timezone.utc))
        for claim in claims:
            early = before is None or claim.version < before
            in_use = claim.token in _IN_USE or claim.holder.is_beside()
            another = claim.run_id != self._run_id or in_use
            if early and another and claim.is_alive(now):
                return claim
        return None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Tell other callers in this process that this lease is no remainder of a failed run."""
        _IN_USE.add(self._token)
        try:
            yield
        finally:
            _IN_USE.discard(self._token)

    def renew(self) -> None:
        """Stay alive for as long again."""
        self._note(RENEWED)

    def release(self) -> None:
        """Let others in."""
        self._note(RELEASED)

    def _note(self, event: str) -> int:
        holder, now = Holder.here(), datetime.now(timezone.utc)
        at = now.isoformat()  # so that no two marks are equal
        mark = LeaseNote(self._run_id, self._token, event, holder, self._since, self._seconds, at)
        row = (self._run_id, event, now, f"{holder.host}:{holder.pid}", self._seconds)
        frame = few_rows(self._spark, [row], s.LEASES_DDL)
        for attempt in range(_ATTEMPTS):
            try:
                return append_rows(frame, self._root, s.LEASES, mark).version
            except Exception as error:
                if attempt == _ATTEMPTS - 1 or not _is_conflict(error):
                    raise
        raise AssertionError("unreachable")


def _is_conflict(error: Exception) -> bool:
    """Whether another claim was written at the same moment. PySpark knows Delta's exceptions only
    where ``delta.exceptions`` was imported; else they come as Py4J's.
    """
    return _CONFLICT.search(f"{type(error).__name__} {error}") is not None


def read_claims(spark: SparkSession, root: OutputRoot) -> list[Claim]:
    """All recent claims, the first one first."""
    return claims_of(history(spark, root, s.LEASES, limit=_LOOK_BACK))


def claims_of(commits: Iterable[Row]) -> list[Claim]:
    """``commits``: of the table's history, newest first."""
    found: dict[str, Claim] = {}
    for commit in commits:
        note = LeaseNote.read(commit["userMetadata"])
        if note is None:
            continue
        version, heard = int(commit["version"]), commit["timestamp"].astimezone(timezone.utc)
        newer = found.get(note.token)
        found[note.token] = Claim(
            note.token,
            note.run_id,
            note.holder,
            version if note.since < 0 else note.since,
            newer.heard if newer else heard,
            newer.released if newer else note.event == RELEASED,
            note.seconds,
        )
    return sorted(found.values(), key=lambda claim: claim.version)
