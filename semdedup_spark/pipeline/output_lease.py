"""A lease of an output: claimed, renewed in the background, and released at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pyspark.sql import SparkSession

from semdedup_spark.causes import Kind
from semdedup_spark.errors import OutputBusyError, OutputError
from semdedup_spark.failures import explained, refuse_elsewhere
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.leases import Claim, Lease
from semdedup_spark.visible import shown

LEASE_SECONDS = 1800.0
# A renewal is a Spark job and may have to wait behind the run's own tasks.
_RENEWALS_IN_LEASE = 6
_POLL_SECONDS = 5.0

_LOG = logging.getLogger(__name__)


@contextmanager
def leased(
    spark: SparkSession,
    root: OutputRoot,
    run_id: str,
    *,
    wait_seconds: float = 0.0,
    seconds: float = LEASE_SECONDS,
) -> Iterator[None]:
    """Keep other runs out of an output until the ``with`` block ends, with or without an error. An
    :class:`OutputBusyError` names another run that holds the lease; an :class:`OutputError` says
    that the output cannot be written.

    Parameters
    ----------
    spark
        The session that writes the lease.
    root
        The output.
    run_id
        Name of the run that takes the lease.
    wait_seconds
        How long to wait for another run that holds it, in seconds.
    seconds
        How long the lease lasts when it is not renewed, in seconds. This matters when the process
        dies: its lease then ends after this time. On the same machine other runs see that the
        process is dead, and its lease ends at once.

    Yields
    ------
    None
        The lease is held.
    """
    lease = Lease(spark, root, run_id, seconds=seconds)
    _claim(lease, root.location, wait_seconds)
    stop = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(lease.renew, stop, seconds), name="lease", daemon=True
    )
    renewer.start()
    try:
        with lease.in_use():
            yield
    finally:
        stop.set()
        renewer.join()
        _release(lease)


def _release(lease: Lease) -> None:
    """Give the lease back. A failure here must not hide the error that ended the run."""
    try:
        lease.release()
    except Exception as error:
        _LOG.warning("the lease of the output could not be given back: %s", shown(error))


def _claim(lease: Lease, location: str, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        other = _claimed(lease, location)
        if other is None:
            return
        if time.monotonic() >= until:
            raise OutputBusyError(_whose(location, other), hint=_way_out(other))
        time.sleep(min(_POLL_SECONDS, max(0.1, until - time.monotonic())))


def _claimed(lease: Lease, location: str) -> Claim | None:
    """Claim once. The lease is the first thing that a run writes, so an output that cannot be
    written is found here.
    """
    try:
        return lease.claim()
    except Exception as error:
        refuse_elsewhere(error, Kind.ROOM, Kind.MEMORY)
        failure = explained(error)
        if failure is None:
            raise
        raise OutputError(
            f"the output {location} must be writable. Got: {failure.cause}",
            hint=f"a run writes its lease first, in the table leases. {failure.hint}",
        ) from error


def _whose(location: str, other: Claim) -> str:
    return (
        f"one run at a time may work on {location}. Run {other.run_id!r} does: process "
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
        except Exception as error:  # the run can go on; the next renewal may succeed
            _LOG.warning("the lease of the output could not be renewed: %s", shown(error))
