"""One run at a time works on an output."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from semdedup_spark.errors import OutputBusyError, OutputError
from semdedup_spark.failures import explained
from semdedup_spark.pipeline.stage_runner import Job
from semdedup_spark.tables.leases import Claim, Lease
from semdedup_spark.visible import shown

LEASE_SECONDS = 1800.0
# A renewal is a Spark job and may have to wait behind the run's own tasks.
_RENEWALS_IN_LEASE = 6
_POLL_SECONDS = 5.0

_LOG = logging.getLogger(__name__)


@contextmanager
def held_output(
    job: Job, *, wait_seconds: float = 0.0, seconds: float = LEASE_SECONDS
) -> Iterator[None]:
    """Keep other runs out of the job's output until the ``with`` ends, however it ends.

    Waits up to ``wait_seconds`` for the run that is there. A process that dies leaves a lease that
    ends after ``seconds``; on the same machine it is seen to be dead, and its lease ends at once.
    Raises :class:`OutputBusyError`, which names the other run.
    """
    lease = Lease(job.spark, job.root, job.run_id, seconds=seconds)
    _claim(job, lease, wait_seconds)
    stop = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(lease.renew, stop, seconds), name="lease", daemon=True
    )
    renewer.start()
    try:
        yield
    finally:
        stop.set()
        renewer.join()
        lease.release()


def _claim(job: Job, lease: Lease, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        other = _claimed(job, lease)
        if other is None:
            return
        if time.monotonic() >= until:
            raise OutputBusyError(_whose(job, other), hint=_way_out(other))
        time.sleep(min(_POLL_SECONDS, max(0.1, until - time.monotonic())))


def _claimed(job: Job, lease: Lease) -> Claim | None:
    """The lease is the first thing that a run writes."""
    try:
        return lease.claim()
    except Exception as error:
        failure = explained(error)
        if failure is None:
            raise
        if failure.kind.is_elsewhere:
            raise failure from error
        raise OutputError(
            f"the output {job.root.location} must be writable. Got: {failure.cause}",
            hint="the first thing that a run writes there is its lease, in the table leases.",
        ) from error


def _whose(job: Job, other: Claim) -> str:
    return (
        f"one run at a time may work on {job.root.location}. Run {other.run_id!r} does: process "
        f"{other.holder.pid} on {other.holder.host}, last heard of {other.heard:%Y-%m-%d %H:%M:%S} "
        "UTC."
    )


def _way_out(other: Claim) -> str:
    until = other.heard + timedelta(seconds=other.seconds)
    return (
        f"--wait SECONDS waits for it. If that process is dead, its lease ends by itself at "
        f"{until:%H:%M:%S} UTC; --run-id {other.run_id} goes on in its name at once."
    )


def _renew(renew: Callable[[], None], stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds / _RENEWALS_IN_LEASE):
        try:
            renew()
        except Exception as error:  # the run itself is well; the next renewal may be, too
            _LOG.warning("the lease of the output could not be renewed: %s", shown(error))
