"""Prepare payloads under a time limit, so that a decoder that never ends costs only one row.

A thread that hangs cannot be stopped. It is abandoned: its row is rejected, and another thread
continues with the next row. A pool of processes could stop it. But every image and its pixels would
have to go through a pipe, and every worker would need a second Python process. Decoders that hang
are too rare for that. Threads do not help against a decoder that hangs while it holds Python's
global lock (GIL); Pillow releases the lock while it decodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from semdedup_spark.encoders.protocol import Encoder, RejectedPayload

TIMED_OUT = "decode_timeout"
# An abandoned thread keeps its image in memory and may compute for ever.
_MOST_ABANDONED = 32


class _Attempt:
    """One thread that prepares groups of payloads. ``results`` grows by one entry a group.

    Parameters
    ----------
    encoder
        Encoder to call.
    groups
        Groups of payloads. Each is one call of :meth:`Encoder.prepare`.
    """

    def __init__(self, encoder: Encoder, groups: Sequence[Sequence[Any]]) -> None:
        self.results: list[list[Any]] = []
        self.error: BaseException | None = None
        self._encoder = encoder
        self._groups = groups
        self._lock = threading.Lock()
        self._abandoned = False
        self._ended = threading.Event()
        self._since = time.monotonic()
        self.thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for group in self._groups:
                prepared = self._encoder.prepare(group)
                with self._lock:
                    if self._abandoned:
                        return
                    self.results.append(prepared)
                    self._since = time.monotonic()
        except BaseException as error:  # ``wait`` raises it again.
            self.error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        # False: a group took longer than ``seconds``, and the thread is abandoned. An error of the
        # thread is raised here.
        while not self._ended.wait(max(0.0, self._since + seconds - time.monotonic())):
            with self._lock:
                if not self._ended.is_set() and time.monotonic() >= self._since + seconds:
                    self._abandoned = True
                    return False
        if self.error is not None:
            raise self.error
        return True


class TimeLimit:
    """Calls ``prepare`` of an encoder with a time limit for each payload.

    Parameters
    ----------
    encoder
        Encoder to call.
    seconds
        Most seconds that one payload may take.
    threads
        Payloads prepared at the same time.
    """

    def __init__(self, encoder: Encoder, seconds: float, threads: int = 1) -> None:
        self._encoder = encoder
        self._seconds = seconds
        self._threads = threads
        self._abandoned: list[threading.Thread] = []

    def prepare(self, payloads: Sequence[Any]) -> list[Any]:
        """Prepare payloads. One that takes too long is rejected as ``decode_timeout``.

        Texts are prepared together; only if that takes too long, one by one. Raises
        ``RuntimeError`` when more than 32 payloads of this object are still being prepared after
        their time limit, and any error that the encoder raises.

        Parameters
        ----------
        payloads
            n payloads, see :meth:`Encoder.prepare`.

        Returns
        -------
        list[Any]
            n entries, see :meth:`Encoder.prepare`.
        """
        if payloads and all(isinstance(payload, str) for payload in payloads):
            together = _Attempt(self._encoder, [payloads])
            if together.wait(self._seconds):
                return together.results[0]
            self._abandon(together)
        step = -(-len(payloads) // self._threads)
        parts = [payloads[start : start + step] for start in range(0, len(payloads), step or 1)]
        attempts = [self._one_by_one(part) for part in parts]
        return [
            row
            for part, attempt in zip(parts, attempts, strict=True)
            for row in self._finish(part, attempt)
        ]

    def _one_by_one(self, payloads: Sequence[Any]) -> _Attempt:
        return _Attempt(self._encoder, [[payload] for payload in payloads])

    def _finish(self, payloads: Sequence[Any], attempt: _Attempt) -> list[Any]:
        done: list[Any] = []
        while not attempt.wait(self._seconds):
            done += [group[0] for group in attempt.results]
            done.append(
                RejectedPayload(TIMED_OUT, f"not prepared within {self._seconds:g} seconds")
            )
            self._abandon(attempt)
            attempt = self._one_by_one(payloads[len(done) :])
        return done + [group[0] for group in attempt.results]

    def _abandon(self, attempt: _Attempt) -> None:
        alive = [thread for thread in self._abandoned if thread.is_alive()]
        self._abandoned = [*alive, attempt.thread]
        if len(self._abandoned) > _MOST_ABANDONED:
            raise RuntimeError(
                f"{len(self._abandoned)} payloads of one task are still being prepared, each for "
                f"longer than embed.decode_seconds, {self._seconds:g}. Raise that limit if the "
                "machine is slow. Otherwise a decoder hangs on this source's payloads."
            )
