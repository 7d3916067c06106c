"""The one door to writing: it takes the lease, keeps the ledger, and reports a failure.

The commands and the library use the same. A function that writes is decorated with
:func:`exclusive`, so whoever calls it alone holds the lease while it runs. Several calls in a
``with held_output(job)`` share one lease.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from semdedup_spark.config import SelectConfig
from semdedup_spark.errors import ConfigError
from semdedup_spark.failures import Failed, as_known
from semdedup_spark.pipeline.job_context import Job, Turn
from semdedup_spark.pipeline.output_lease import LEASE_SECONDS, leased
from semdedup_spark.tables.catalog import remembered_tables
from semdedup_spark.tables.states import StateCache

_P = ParamSpec("_P")
_R = TypeVar("_R")


@contextmanager
def working(
    job: Job, *, wait_seconds: float = 0.0, seconds: float = LEASE_SECONDS
) -> Iterator[Job]:
    """Let a job write to its output until the ``with`` block ends, with or without an error.

    The lease is taken when the first stage begins its work, and held until the end. At the end the
    ledger is complete. An error is told to the job's listener, and what kind it is is written into
    the ledger if a stage had begun. One of exit code 2 refuses a command: it is written only if a
    stage had ended. Inside of another such block of the same run, and in a dry run, nothing of this
    happens.

    Parameters
    ----------
    job
        The job.
    wait_seconds
        How long to wait for another run that holds the lease, in seconds.
    seconds
        How long the lease lasts when it is not renewed, in seconds.

    Yields
    ------
    Job
        The same job.

    Raises
    ------
    Exception
        What was raised inside, unchanged.
    """
    if job.dry_run or job.turn is not None:
        yield job
        return
    with ExitStack() as held:

        def claim() -> None:
            lease = leased(
                job.spark, job.root, job.run_id, wait_seconds=wait_seconds, seconds=seconds
            )
            held.enter_context(lease)
            held.enter_context(remembered_tables(job.root))
            job.ledger.reload()  # others may have written until now

        turn = Turn(claim, StateCache(job.spark, job.root, job.ledger.state_of))
        job.turns[job.run_id] = turn
        try:
            yield job
            job.ledger.flush()
        except Exception as error:
            # The stages before it are done. What goes unrecorded here is only computed again.
            with suppress(Exception):
                job.ledger.flush()
            job.listener.failed(error)
            with suppress(Exception):
                if turn.began_stage and _is_failure(job, error):
                    job.ledger.add_failure(job.run_id, _in_words(error))
            raise
        finally:
            del job.turns[job.run_id]


def _is_failure(job: Job, error: Exception) -> bool:
    is_refusal = as_known(error).exit_code == ConfigError.exit_code
    return not is_refusal or any(row.run_id == job.run_id for row in job.ledger.records())


def _in_words(error: Exception) -> str:
    """What kind of error it is. Its message may quote ids and values, which are not to be kept in
    a table that an erasure does not read.
    """
    known = as_known(error)
    if isinstance(known, Failed):
        return f"{type(error).__name__} ({known.kind.name.lower()})"
    keys = {f"select.{name}" for name in SelectConfig.model_fields}
    named = sorted(keys.intersection(re.findall(r"\bselect\.\w+", known.problem)))
    return ": ".join([type(error).__name__, *([", ".join(named)] if named else [])])


@contextmanager
def held_output(
    job: Job, *, wait_seconds: float = 0.0, seconds: float = LEASE_SECONDS
) -> Iterator[None]:
    """Keep other runs out of the job's output until the ``with`` block ends, however it ends.

    Like :func:`working`, but the lease is taken at once. An :class:`OutputBusyError` names another
    run that holds the lease; an :class:`OutputError` says that the output cannot be written.

    Parameters
    ----------
    job
        The job.
    wait_seconds
        How long to wait for another run that holds the lease, in seconds.
    seconds
        How long the lease lasts when it is not renewed, in seconds. A process that dies leaves a
        lease that ends after this time; on the same machine it ends at once.

    Yields
    ------
    None
        The lease is held.
    """
    with working(job, wait_seconds=wait_seconds, seconds=seconds):
        job.begin()
        yield


def exclusive(
    function: Callable[Concatenate[Job, _P], _R],
) -> Callable[Concatenate[Job, _P], _R]:
    """Decorate a function that writes: it holds the lease from its begin to its end. Called by
    another such function, it uses the lease of that one; otherwise the ledger is complete when it
    returns.

    Parameters
    ----------
    function
        Its first parameter is the job.

    Returns
    -------
    Callable[Concatenate[Job, _P], _R]
        The function, with the same parameters.
    """
    return _within(held_output, function)


def exclusive_once_begun(
    function: Callable[Concatenate[Job, _P], _R],
) -> Callable[Concatenate[Job, _P], _R]:
    """Decorate a function that first looks at the source, and then writes. Like :func:`exclusive`,
    but the lease is taken when the first stage begins: a source that is refused leaves no trace.

    Parameters
    ----------
    function
        Its first parameter is the job.

    Returns
    -------
    Callable[Concatenate[Job, _P], _R]
        The function, with the same parameters.
    """
    return _within(working, function)


def _within(
    opened: Callable[[Job], AbstractContextManager[object]],
    function: Callable[Concatenate[Job, _P], _R],
) -> Callable[Concatenate[Job, _P], _R]:
    @wraps(function)
    def alone(job: Job, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with opened(job):
            turn = job.turn
            if turn is None:  # a dry run
                return function(job, *args, **kwargs)
            turn.depth += 1
            try:
                result = function(job, *args, **kwargs)
            finally:
                turn.depth -= 1
            if turn.depth == 0:
                job.ledger.flush()
            return result

    return alone
