"""Rows a second of the stage ``embed`` over those of a bare loop around the same model.

``python benchmarks/embed.py --encoder minilm --rows 20000``
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psutil
from measuring import print_repeats, print_table, write_json
from payloads import source_file
from sparkjobs import session
from vectors import CACHE, DATA
from worker_memory import WorkerMemory

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import Listener, run_embed
from semdedup_spark.pipeline.job_context import Progress

_FOLDER = click.Path(path_type=Path, file_okay=False)
_KIND = {"minilm": "text", "efficientnet-lite0": "images", "open-clip": "images"}
_BATCH = 32


@dataclass
class Measured:
    """Rows a second of each repeat; ``cpu_``: CPU seconds of a thousand rows, which other programs
    on the machine move less.
    """

    one: list[float] = field(default_factory=list)
    several: list[float] = field(default_factory=list)
    steady: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    cpu_one: list[float] = field(default_factory=list)
    cpu_several: list[float] = field(default_factory=list)
    cpu_steady: list[float] = field(default_factory=list)


def bare_rate(
    spec: dict[str, Any], source: Path, rows: int, processes: int, threads: int
) -> tuple[float, float]:
    """(rows a second, CPU seconds of a thousand rows) of so many processes, each with its share of
    the rows; loading the model is not part of it.
    """
    shares = [(rows * p // processes, rows * (p + 1) // processes) for p in range(processes)]
    env = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))}
    script = str(Path(__file__).with_name("bare_loop.py"))
    children = []
    for start, stop in shares:
        told = {"spec": spec, "source": str(source), "threads": threads}
        argument = json.dumps({**told, "start": start, "rows": stop - start})
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        children.append(subprocess.Popen([sys.executable, script, argument], **pipes))  # type: ignore[call-overload]
    for child in children:
        child.stdout.readline()
    begun = time.perf_counter()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    cpu = sum(float(child.communicate()[0]) for child in children)
    return rows / (time.perf_counter() - begun), 1000 * cpu / rows


def stage_rate(spark: Any, config: dict[str, Any]) -> tuple[float, float, float]:
    """(rows a second after the first commit, rows a second in all, CPU seconds of a thousand rows
    after the first commit) of the stage from Parquet to Delta, with the JVM; the first commit also
    starts the workers and loads the model.
    """
    shutil.rmtree(config["output"], ignore_errors=True)
    seen: list[tuple[float, float, Progress]] = []

    def note(at: Progress) -> None:
        seen.append((time.perf_counter(), tree_cpu(), at))
        print(f"  commit: {at.rows:,} rows after {at.seconds:.1f} s", flush=True)

    begun = time.perf_counter()
    record = run_embed(open_job(spark, parse_config(config), listener=Listener(progress=note)))
    end, cpu = time.perf_counter(), tree_cpu()
    if len(seen) < 2:
        raise SystemExit("--rows must be more than the first commit holds.")
    first_clock, first_cpu, first = seen[0]
    rows = record.counts["embedded"]
    print(f"  {record.counts}", flush=True)
    steady = rows - first.rows
    used = 1000 * (cpu - first_cpu) / steady
    return steady / (end - first_clock), rows / (end - begun), used


def tree_cpu() -> float:
    """CPU seconds of the processes below this one: the JVM and its Python workers."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.Error:  # it has ended
            continue
        total += times.user + times.system
    return total


@click.command()
@click.option("--encoder", type=click.Choice(list(_KIND)), default="minilm", show_default=True)
@click.option("--rows", type=int, default=20_000, show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="of embed")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--memory", is_flag=True, help="print the memory of the workers by time")
@click.option("--stage-only", is_flag=True, help="no bare loops: for the memory of a long run")
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write all numbers here")
def main(
    encoder: str,
    rows: int,
    repeats: int,
    cores: int,
    overrides: tuple[str, ...],
    device: str,
    memory: bool,
    stage_only: bool,
    cache: Path,
    data: Path,
    json_path: Path | None,
) -> None:
    """One process with all cores as threads, as many processes with one thread, and the stage,
    one after the other, as often as ``--repeats``; rows a second of each.
    """
    kind = _KIND[encoder]
    source = source_file(cache, data, kind, rows)
    settings = dict(pair.split("=", 1) for pair in overrides)
    spec = {"name": encoder, "device": device, "batch_size": _BATCH, **settings}
    config = {
        "output": str(cache / "tables" / f"embed-{encoder}-{rows}"),
        "source": {
            "kind": kind,
            "format": "parquet",
            "path": str(source),
            "id": "id",
            "content": "payload",
            "columns": ["id"],
        },
        "embed": {"encoder": encoder, "device": device, **settings},
    }
    spark = session(cores)
    found = Measured()
    with WorkerMemory(os.getpid()) as watched:
        for turn in range(repeats):
            print(f"repeat {turn + 1}", flush=True)
            loops = [
                (1, found.one, found.cpu_one),
                (cores, found.several, found.cpu_several),
            ]
            for processes, rates, cpu in [] if stage_only else loops:
                rate, used = bare_rate(spec, source, rows, processes, cores // processes)
                rates.append(rate)
                cpu.append(used)
            watched.mark(f"stage {turn + 1}")
            steady, whole, used = stage_rate(spark, config)
            found.steady.append(steady)
            found.whole.append(whole)
            found.cpu_steady.append(used)
            watched.mark("")
    if not stage_only:
        report(found, encoder, rows, cores)
    if memory:
        header = ["of stage, after", "seconds", "workers", "largest MiB", "all MiB"]
        print_table("resident memory of the Python workers", header, watched.table())
    write_json(json_path, {"embed": {"encoder": encoder, "rows": rows, **vars(found)}})


def report(found: Measured, encoder: str, rows: int, cores: int) -> None:
    print_repeats(
        f"{encoder}, {rows:,} rows, {cores} cores: rows/s",
        {
            f"bare, 1 process x {cores} threads": found.one,
            f"bare, {cores} processes x 1 thread": found.several,
            "stage, after its first commit": found.steady,
            "stage, with workers and model": found.whole,
        },
    )
    print_repeats(
        "CPU seconds of 1,000 rows",
        {
            f"bare, 1 process x {cores} threads": found.cpu_one,
            f"bare, {cores} processes x 1 thread": found.cpu_several,
            "stage, after its first commit": found.cpu_steady,
        },
    )
    pairs = {
        f"stage / bare 1 x {cores}": found.one,
        f"stage / bare {cores} x 1": found.several,
    }
    print_repeats(
        "ratios of one repeat",
        {
            name: [a / b for a, b in zip(found.steady, bare, strict=True)]
            for name, bare in pairs.items()
        }
        | {
            f"CPU: bare {cores} x 1 / stage": [
                a / b for a, b in zip(found.cpu_several, found.cpu_steady, strict=True)
            ]
        },
    )


if __name__ == "__main__":
    main()
