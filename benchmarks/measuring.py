"""Clocks, rates, memory and tables of numbers, shared by all benchmarks."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import psutil

_SGEMM_SECONDS = 2.0
# One process of the rate: says that it is ready, waits, then repeats one product for a while.
_SGEMM = """
import sys, time, numpy as np
X, Y = np.random.default_rng(0).standard_normal((2, 2048, {d}), dtype=np.float32)
X @ Y.T
print("ready", flush=True); sys.stdin.readline()
best, end = float("inf"), time.perf_counter() + {seconds}
while time.perf_counter() < end:
    begun = time.perf_counter(); X @ Y.T; best = min(best, time.perf_counter() - begun)
print(2 * 2048 * 2048 * {d} / best)
"""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def sgemm_rate(processes: int, d: int) -> float:
    """FLOP/s of float32 matrix products (2048 x d by d x 2048), summed over processes that compute
    at the same time with one BLAS thread each; of each process its best product counts.
    """
    code = _SGEMM.format(d=d, seconds=_SGEMM_SECONDS)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


P = TypeVar("P", bound="PeakMemory")


class PeakMemory:
    """Samples the resident memory of a process and all its children until left.

    ``peaks``: for each phase (see :meth:`phase`) the largest (total, jvm, python) in bytes. Pages
    that forked workers share are counted once for each of them, so totals err on the high side.
    """

    def __init__(self, pid: int, every: float = 0.5) -> None:
        self.peaks: dict[str, tuple[int, int, int]] = {}
        self._root = psutil.Process(pid)
        self._every = every
        self._phase = "start"
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self: P) -> P:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def phase(self, name: str) -> None:
        self._phase = name

    def _watch(self) -> None:
        while not self._left.wait(self._every):
            jvm = python = 0
            for process in self._tree():
                try:
                    resident, is_jvm = process.memory_info().rss, _is_jvm(process)
                    if is_jvm and _is_jvm(process.parent()):
                        continue  # about to become a shell command; shares its parent's memory
                except psutil.Error:  # it has ended
                    continue
                jvm, python = (jvm + resident, python) if is_jvm else (jvm, python + resident)
            now = (jvm + python, jvm, python)
            self.peaks[self._phase] = max(self.peaks.get(self._phase, now), now)

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def _is_jvm(process: psutil.Process | None) -> bool:
    # Not its name: that of a forked copy is the name of a thread.
    return process is not None and Path(process.exe()).name == "java"


class Clock:
    """``with Clock("words") as clock``: announces, measures ``clock.seconds``, prints them."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.seconds = 0.0

    def __enter__(self) -> Clock:
        print(f"{time.strftime('%H:%M:%S')} {self.what} ...", flush=True)
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begun
        print(f"{time.strftime('%H:%M:%S')} {self.what}: {self.seconds:.2f} s", flush=True)


def min_and_median(values: Sequence[float]) -> tuple[float, float]:
    return min(values), statistics.median(values)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Numbers to four significant digits, right-aligned; the first column to the left."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        first, *others = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join([first, *others]).rstrip())
    print(flush=True)


def _cell(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return "n/a" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def print_repeats(title: str, measures: Mapping[str, Sequence[float]]) -> None:
    """One line for each measure: minimum, median, and every repeat."""
    rows = [
        [name, *min_and_median(values), "  ".join(f"{value:.4g}" for value in values)]
        for name, values in measures.items()
    ]
    print_table(title, ["", "min", "median", "repeats"], rows)


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    packages = ("semdedup-spark", "pyspark", "numpy", "torch", "faiss-cpu", "semhash")
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "packages": found,
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), **results}, indent=2) + "\n")
