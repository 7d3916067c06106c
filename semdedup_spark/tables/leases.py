"""Who works on an output now: a lease that is claimed by a commit and expires by itself.

A claim, its renewals and its release are rows appended to the table ``leases``, each in a commit
of its own. Delta orders commits in the same way for all readers, so if two runs claim at once,
both see which came first. On S3 this holds within one driver only: if two drivers commit at the
same moment, the later commit replaces the other. There a claim is looked at a second time. A lease
that is not renewed expires; that of a process that has died on this machine ends at once. No file
has to be removed by hand.
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
from semdedup_spark.tables.commits.write import LostCommitError, append_note
from semdedup_spark.tables.lease_notes import CLAIMED, RELEASED, RENEWED, Holder, LeaseNote
from semdedup_spark.tables.literal_rows import few_rows

# A run renews a few times an hour, so every lease that can be alive is in this many commits.
_LOOK_BACK = 200
_ATTEMPTS = 5
_CONFLICT = re.compile(r"\b(Concurrent|ProtocolChanged|MetadataChanged)\w*Exception\b")
# Upper bound of the time between a writer's check that a commit is absent and its write, on storage
# where two writers may do so at once. After this time it is clear which of the commits remained.
SETTLE_SECONDS = 3.0
# Tokens of the leases that this process holds and renews now.
_IN_USE: set[str] = set()
# Tokens of the leases that this process gave back, also where the storage refused the commit.
_GIVEN_BACK: set[str] = set()


@dataclass(frozen=True)
class Claim:
    """The lease of one run.

    Attributes
    ----------
    token
        Tells this lease from all others.
    run_id
        The run.
    holder
        Its process.
    version
        Version of the commit that claimed the lease.
    heard
        Time of the last commit for this lease.
    released
        Whether the run has given it back.
    seconds
        How long it lasts from that time, in seconds.
    """

    token: str
    run_id: str
    holder: Holder
    version: int
    heard: datetime
    released: bool
    seconds: float

    def is_alive(self, now: datetime) -> bool:
        """Tell whether other runs must keep out.

        Parameters
        ----------
        now
            The time, by the clock that dates the commits.

        Returns
        -------
        bool
            False where it was released, has expired, or its process is known to have ended.
        """
        expires = self.heard + timedelta(seconds=self.seconds)
        return not self.released and now < expires and not self.holder.has_ended()


class Lease:
    """A lease of an output for this process.

    Parameters
    ----------
    spark
        The session that writes it.
    root
        The output.
    run_id
        The run that it is for.
    seconds
        How long it lasts when it is not renewed, in seconds.
    """

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
        """Try to get the lease.

        Returns
        -------
        Claim | None
            ``None``: it is ours. Otherwise the lease of another run, and nothing of ours remains.

        Raises
        ------
        LostCommitError
            Other writers replaced each of our commits.
        """
        with self._given_back_by_errors():
            for _ in range(_ATTEMPTS):
                other = self.held_by_other()
                if other is not None:
                    return other
                own, claims = self._claimed()
                if own is None:  # another driver's commit replaced it
                    continue
                self._since = own.version
                other = self._keeps_out(claims, own)
                if other is not None:  # it claimed after our first look
                    self.release()
                return other
        raise LostCommitError(
            f"claims of {self._root.name(s.LEASES)} must stay there. Other writers replace them.",
            hint="let one run finish, then run the command again.",
        )

    @contextmanager
    def _given_back_by_errors(self) -> Iterator[None]:
        """After an error, or somebody's Ctrl-C, this process must not keep itself out."""
        try:
            yield
        except BaseException:
            _GIVEN_BACK.add(self._token)
            raise

    def _claimed(self) -> tuple[Claim | None, list[Claim]]:
        """Claim, and read all claims: our own if it is among them."""
        self._note(CLAIMED)
        if self._root.overwrites_commits:
            sleep(SETTLE_SECONDS)
        claims = read_claims(self._spark, self._root)
        return self._own(claims), claims

    def held_by_other(self) -> Claim | None:
        """Find a lease that keeps this run out. A run of the same name is this run, tried again,
        unless its process is seen to run, or another caller in this process works in that name.

        Returns
        -------
        Claim | None
            The first such lease that is alive.
        """
        claims = read_claims(self._spark, self._root)
        return self._keeps_out(claims, self._own(claims))

    def _own(self, claims: list[Claim]) -> Claim | None:
        return next((claim for claim in claims if claim.token == self._token), None)

    def _keeps_out(self, claims: list[Claim], own: Claim | None) -> Claim | None:
        """Once our own claim is among the leases, only those before it count, and the time is that
        of our own last commit. One clock, that of the storage, then dates all of them, however
        wrong the clocks of the machines are.
        """
        now = datetime.now(timezone.utc) if own is None else own.heard
        for claim in claims:
            if claim.token in _GIVEN_BACK:
                continue
            early = own is None or claim.version < own.version
            in_use = claim.token in _IN_USE or claim.holder.is_beside()
            another = claim.run_id != self._run_id or in_use
            if early and another and claim.is_alive(now):
                return claim
        return None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Tell other callers in this process that this lease is not left over from a failed run.

        Yields
        ------
        None
            The lease is in use.
        """
        _IN_USE.add(self._token)
        try:
            yield
        finally:
            _IN_USE.discard(self._token)

    def renew(self) -> None:
        """Let the lease last as long again."""
        self._note(RENEWED)

    def release(self) -> None:
        """Give the lease back. Where the commit fails, other processes wait until the lease
        expires; this process knows that it is free.
        """
        _GIVEN_BACK.add(self._token)
        self._note(RELEASED)

    def _note(self, event: str) -> None:
        holder, now = Holder.here(), datetime.now(timezone.utc)
        at = now.isoformat()  # so that no two marks are equal
        mark = LeaseNote(self._run_id, self._token, event, holder, self._since, self._seconds, at)
        row = (self._run_id, event, now, f"{holder.host}:{holder.pid}", self._seconds)
        frame = few_rows(self._spark, [row], s.LEASES_DDL)
        for attempt in range(_ATTEMPTS):
            try:
                return append_note(frame, self._root, s.LEASES, mark)
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
    """Read all recent leases of an output.

    Parameters
    ----------
    spark
        The session that reads.
    root
        The output.

    Returns
    -------
    list[Claim]
        In the order in which they were claimed.
    """
    return claims_of(history(spark, root, s.LEASES, limit=_LOOK_BACK))


def claims_of(commits: Iterable[Row]) -> list[Claim]:
    """Read leases from commits.

    Parameters
    ----------
    commits
        The newest commits of the table ``leases``, newest first.

    Returns
    -------
    list[Claim]
        In the order in which they were claimed.
    """
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
