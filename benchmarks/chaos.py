"""Kill a job at random moments, give the same command again, and compare all tables.

``python benchmarks/chaos.py --kills 100``: goes on where an earlier call stopped, if it finds its
``--place``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from deltalake import DeltaTable, write_deltalake
from measuring import print_table

HOW = """A job of {n} rows of ready-made vectors, as the command `semdedup run` does it; the second
night brings {more} new rows, takes {gone} away and changes {changed}. SIGKILL, at a moment drawn
evenly from the time that the stages take undisturbed, to one of: the driver (JVM and Python), the
command (Python alone; the JVM sees its end), all Python workers. Then the same command again,
killed or not. When a night is done all tables are compared with those of a job that nobody
disturbed."""

STAGES = ("embed", "cluster", "score", "select")
TABLES = ("embeddings", "centroids", "scores", "duplicates", "deduplicated", "quarantine")
NOT_DATA = {"runs", "leases"}
VICTIMS = ("driver", "command", "workers")
# The first commit takes a part of these few rows only, so that there is something to continue.
COMMAND = """
from semdedup_spark.pipeline import commits
commits.FIRST_COMMIT["none"] = 150
from semdedup_spark.cli import main
main()
"""
LIGHT = """
spark.sql.codegen.wholeStage   false
spark.sql.codegen.factoryMode  NO_CODEGEN
spark.sql.adaptive.enabled     false
spark.sql.shuffle.partitions   2
spark.driver.memory            1g
spark.databricks.delta.snapshotPartitions 1
"""
ROWS, MORE, GONE, CHANGED = 600, 150, 20, 15


@dataclass
class Found:
    """All that is known so far; written down after each command."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    commands: int = 0
    nights: int = 0
    differences: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    trial: int = 0
    night: int = 1


@click.command()
@click.option("--kills", type=int, default=100, show_default=True)
@click.option("--seconds", type=float, default=float("inf"), help="Start nothing after so long.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--place", type=click.Path(path_type=Path), default=Path(tempfile.gettempdir(), "chaos")
)
def main(kills: int, seconds: float, seed: int, place: Path) -> None:
    """Kill, repeat, compare, until so many kills were survived."""
    until = time.monotonic() + seconds
    notes = place / "found.json"
    found = Found(**json.loads(notes.read_text())) if notes.exists() else Found()
    if not found.seconds:
        _prepare(place, found)
        _write(notes, found)
    while len(found.kills) < kills and time.monotonic() < until:
        chance = random.Random(f"{seed}/{found.commands}")
        ended = _disturbed(place, found, chance)
        if ended:
            _compare(place, found)
            _next_night(place, found)
        _write(notes, found)
    _report(found)


def _prepare(place: Path, found: Found) -> None:
    """The two states of the source, and what a job leaves that nobody disturbs."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "conf").mkdir(parents=True)
    (place / "conf" / "spark-defaults.conf").write_text(LIGHT)
    for night, rows in enumerate(_nights(), start=1):
        write_deltalake(place / "source", rows, mode="overwrite")
        shutil.copytree(place / "source", place / f"night-{night}")
        clock = time.monotonic()
        with _started(place, "calm", place / "calm.log") as running:
            begun = _wait_for_stages(running, place / "calm.log")
            if running.wait() != 0:
                raise RuntimeError((place / "calm.log").read_text())
        found.seconds[str(night)] = round(time.monotonic() - begun, 2)
        print(f"undisturbed night {night}: {time.monotonic() - clock:.0f} s", flush=True)
        shutil.copytree(place / "calm", place / f"calm-{night}")


def _nights() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS + MORE, 12)).astype(np.float32)
    copies = rng.random(len(X)) < 0.4
    X[copies] = X[rng.integers(0, len(X), copies.sum())]
    X[copies] += 0.05 * rng.standard_normal(X[copies].shape).astype(np.float32)
    X[[3, ROWS + 3]] = 0.0  # in quarantine, for having no direction

    def table(ids: np.ndarray[Any, Any], vectors: np.ndarray[Any, Any]) -> pa.Table:
        lists = pa.FixedSizeListArray.from_arrays(vectors.ravel(), 12).cast(pa.list_(pa.float32()))
        names = [f"row-{i:05d}" for i in ids]
        return pa.table({"doc": names, "v": lists, "note": [f"note {i}" for i in ids]})

    stay = np.setdiff1d(np.arange(ROWS + MORE), np.arange(40, 40 + GONE))
    later = X.copy()
    later[100 : 100 + CHANGED] += 0.5
    return table(np.arange(ROWS), X[:ROWS]), table(stay, later[stay])


def _show(place: Path, night: int) -> None:
    """Let the source be as it is on this night, its version included."""
    shutil.rmtree(place / "source")
    shutil.copytree(place / f"night-{night}", place / "source")


def _started(place: Path, output: str, log: Path) -> subprocess.Popen[bytes]:
    source = {"kind": "vectors", "format": "delta", "path": str(place / "source"), "id": "doc"}
    job = {
        "output": str(place / output),
        "source": {**source, "content": "v"},
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 5},
        "score": {"recall": "exact", "eps_max": 0.1},
        "select": {"eps": 0.05},
    }
    file = place / f"{output}.yml"
    file.write_text(yaml.safe_dump(job))
    environment = {
        **os.environ,
        "SPARK_CONF_DIR": str(place / "conf"),
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
        "-XX:ReservedCodeCacheSize=256m",
    }
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "run", "--config", str(file)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=log.open("wb"),
    )


def _wait_for_stages(running: subprocess.Popen[bytes], log: Path) -> float:
    """When the first stage began, or the command ended."""
    while running.poll() is None and not _stages(log):
        time.sleep(0.05)
    return time.monotonic()


def _stages(log: Path) -> list[str]:
    """The stages that began, or were found done, in their order."""
    begun = (line.split(":")[0] for line in log.read_text().splitlines())
    return [name for name in begun if name in STAGES]


def _disturbed(place: Path, found: Found, chance: random.Random) -> bool:
    """Give the command and perhaps kill; whether the night is done."""
    if not (place / "source-is").exists() or (place / "source-is").read_text() != _now(found):
        _show(place, found.night)
        (place / "source-is").write_text(_now(found))
    log = place / "log" / f"{found.commands:05d}.log"
    log.parent.mkdir(exist_ok=True)
    found.commands += 1
    with _started(place, "out", log) as running:
        begun = _wait_for_stages(running, log)
        moment = chance.uniform(0, found.seconds[str(found.night)])
        try:
            running.wait(timeout=max(0.0, begun + moment - time.monotonic()))
        except subprocess.TimeoutExpired:
            return _killed(found, running, log, chance.choice(VICTIMS), moment)
    if running.returncode != 0:
        found.differences.append(f"{log.name}: exit code {running.returncode}, not killed")
    return running.returncode == 0


def _now(found: Found) -> str:
    return f"trial {found.trial}, night {found.night}"


def _killed(
    found: Found, running: subprocess.Popen[bytes], log: Path, victim: str, moment: float
) -> bool:
    """Kill, wait for the end, note it. A job whose worker dies may still do all its work."""
    stage = _stages(log)[-1]
    pids = _pids(running.pid, victim)
    for pid in pids:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)
    code = running.wait()
    if pids:
        note = {"victim": victim, "stage": stage, "second": round(moment, 2), "exit": code}
        found.kills.append({**note, "trial": found.trial, "night": found.night, "log": log.name})
        print(f"{len(found.kills)}: {note}", flush=True)
    elif code != 0:
        found.differences.append(f"{log.name}: exit code {code}, not killed")
    return code == 0


def _pids(command: int, victim: str) -> list[int]:
    process = psutil.Process(command)
    below = process.children(recursive=True)
    if victim == "workers":
        return [p.pid for p in below if _is_daemon(p) and _is_daemon(p.parent())]
    if victim == "command":
        return [command]
    return [*(p.pid for p in below if p.name() == "java"), command]


def _is_daemon(process: psutil.Process | None) -> bool:
    try:
        return process is not None and "pyspark.daemon" in process.cmdline()
    except psutil.Error:
        return False


def _compare(place: Path, found: Found) -> None:
    """Every table, row by row and column by column, bit by bit; and that nothing else is there."""
    calm = place / f"calm-{found.night}"
    for table in TABLES:
        mine, theirs = (_content(root / table) for root in (place / "out", calm))
        if not mine.equals(theirs):
            differing = [n for n in theirs.column_names if not mine[n].equals(theirs[n])]
            found.differences.append(f"{_now(found)}: {table} differs in {differing}")
    there = {path.name for path in (place / "out").iterdir()}
    if there != {*TABLES, *NOT_DATA}:
        found.differences.append(f"{_now(found)}: tables {sorted(there)}")
    found.nights += 1


def _content(root: Path) -> pa.Table:
    """The rows in one order, without what differs between any two runs: nothing does."""
    rows = DeltaTable(root).to_pyarrow_table()
    key = next(n for n in ("id", "doc", "cluster_id") if n in rows.column_names)
    return rows.take(pc.sort_indices(rows, [(key, "ascending")])).combine_chunks()


def _next_night(place: Path, found: Found) -> None:
    if found.night < len(found.seconds):
        found.night += 1
    else:
        found.night, found.trial = 1, found.trial + 1
        shutil.rmtree(place / "out")


def _write(notes: Path, found: Found) -> None:
    notes.write_text(json.dumps(asdict(found), indent=1))


def _report(found: Found) -> None:
    numbers = {"n": ROWS, "more": MORE, "gone": GONE, "changed": CHANGED}
    print("\n" + HOW.format(**numbers))
    of = {(k["stage"], k["victim"]): 0 for k in found.kills}
    for kill in found.kills:
        of[kill["stage"], kill["victim"]] += 1
    rows = [[s, *(of.get((s, v), 0) for v in VICTIMS)] for s in STAGES]
    print_table(f"{len(found.kills)} kills, by stage", ["in stage", *VICTIMS], rows)
    idle = sum(kill["exit"] == 0 for kill in found.kills)
    print(f"{found.commands} commands, {found.nights} nights compared")
    print(f"kills that the command did not notice, of idle workers: {idle}")
    print(f"differences: {len(found.differences)}")
    for each in found.differences:
        print(f"  {each}")


if __name__ == "__main__":
    main()
