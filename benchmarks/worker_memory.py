"""Resident memory of Spark's Python workers, by time."""

from __future__ import annotations

import threading
import time
from typing import Any

import psutil

_BUSY_MIB = 150  # the daemon that forks workers, and workers without a model, are smaller
_LINES = 12


class WorkerMemory:
    """Samples the workers below a process every second until left."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._phase, self._since = "", time.monotonic()
        self._samples: list[tuple[str, float, list[float]]] = []

    def __enter__(self) -> WorkerMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def mark(self, phase: str) -> None:
        """What follows belongs to this phase; nothing is kept of a phase without a name."""
        self._phase, self._since = phase, time.monotonic()

    def _watch(self) -> None:
        while not self._left.wait(1.0):
            phase, seconds = self._phase, time.monotonic() - self._since
            if phase:
                self._samples.append((phase, seconds, self._workers()))

    def _workers(self) -> list[float]:
        sizes = []
        for process in self._root.children(recursive=True):
            try:
                if "pyspark.daemon" in " ".join(process.cmdline()):
                    sizes.append(process.memory_info().rss / 2**20)
            except psutil.Error:  # it has ended
                continue
        return [size for size in sizes if size > _BUSY_MIB]

    def table(self) -> list[list[Any]]:
        """A dozen lines, evenly over time."""
        rows = [
            [phase, seconds, len(sizes), max(sizes, default=0.0), sum(sizes)]
            for phase, seconds, sizes in self._samples
        ]
        step = max(1, len(rows) // _LINES)
        return rows[step - 1 :: step]
