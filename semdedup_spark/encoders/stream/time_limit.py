"""Payloads prepared under a time limit, so that a decoder that never ends costs one row.

A thread that hangs cannot be ended, only left alone: its row is rejected, and another thread goes
on with the next row. A pool of processes could end it, at the price of sending every image and its
pixels through a pipe and of a second Python beside every worker; decoders that hang are too rare
for that. What a thread cannot help against is a decoder that hangs while it holds Python's lock;
Pillow lets go of it while it decodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from semdedup_spark.encoders.protocol import Encoder, RejectedPayload

TIMED_OUT = "decode_timeout"
# Left threads hold their image, and may compute for ever.
_MOST_LEFT_BEHIND = 32


class _Attempt:
    """Groups of payloads that one thread prepares; ``results`` grows with each group."""

    def __init__(self, encoder: Encoder, groups: Sequence[Sequence[Any]]) -> None:
        self.results: list[list[Any]] = []
        self.error: BaseException | None = None
        self._encoder = encoder
        self._groups = groups
        self._lock = threading.Lock()
        self._left = False
        self._ended = threading.Event()
        self._since = time.monotonic()
        self.thread = threading.Thread(target=self._run, name="prepare", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for group in self._groups:
                prepared = self._encoder.prepare(group)
                with self._lock:
                    if self._left:
                        return
                    self.results.append(prepared)
                    self._since = time.monotonic()
        except BaseException as error:  # raised again where the results are waited for
            self.error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Whether all groups are done; ``False``: one took longer, and the thread was left."""
        while not self._ended.wait(max(0.0, self._since + seconds - time.monotonic())):
            with self._lock:
                if not self._ended.is_set() and time.monotonic() >= self._since + seconds:
                    self._left = True
                    return False
        if self.error is not None:
            raise self.error
        return True


class TimeLimit:
    """``prepare`` of an encoder in which no payload may take longer than ``seconds``.

    ``threads``: payloads prepared at the same time.
    """

    def __init__(self, encoder: Encoder, seconds: float, threads: int = 1) -> None:
        self._encoder = encoder
        self._seconds = seconds
        self._threads = threads
        self._left_behind: list[threading.Thread] = []

    def prepare(self, payloads: Sequence[Any]) -> list[Any]:
        """As :meth:`Encoder.prepare`; a payload that takes too long is rejected as
        ``decode_timeout``. Texts are prepared together, and one by one where that takes too long.
        """
        if payloads and all(isinstance(payload, str) for payload in payloads):
            together = _Attempt(self._encoder, [payloads])
            if together.wait(self._seconds):
                return together.results[0]
            self._leave(together)
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
            self._leave(attempt)
            attempt = self._one_by_one(payloads[len(done) :])
        return done + [group[0] for group in attempt.results]

    def _leave(self, attempt: _Attempt) -> None:
        alive = [thread for thread in self._left_behind if thread.is_alive()]
        self._left_behind = [*alive, attempt.thread]
        if len(self._left_behind) > _MOST_LEFT_BEHIND:
            raise RuntimeError(
                f"{len(self._left_behind)} payloads of one task are still being prepared, each for "
                f"longer than embed.decode_seconds, {self._seconds:g}. Raise it if the machine is "
                "slow; else a decoder does not end on this source's payloads."
            )
