"""More vectors than memory: ours with a capped driver, and the published procedure, each under one
limit. As a program it is the measured process of ours, and says which phase it is in.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from measuring import PeakMemory, print_table
from options import Options
from published import try_within
from sparkjobs import source_path

from semdedup_spark.pipeline import run_cluster, run_embed, run_score, run_select
from semdedup_spark.tables.runs import StageRecord

_T = TypeVar("_T")
_PHASE = "PHASE "
# Shares of the limit; the rest is the JVM's own, the driver's Python and the workers' libraries.
_HEAP, _SAMPLE, _UNIT = 0.3, 0.04, 0.03


def run(options: Options) -> dict[str, Any]:
    limit = options.memory_gib * 2**30
    ours = _measure_ours(options)
    print_table(
        f"{options.title('ours within')}, {options.memory_gib:g} GiB; resident memory in MiB",
        ["phase", "seconds", "peak", "of it JVM", "of it Python"],
        [[name, phase["seconds"], *phase["peak_mib"]] for name, phase in ours["phases"].items()],
    )
    counted = [phase for name, phase in ours["phases"].items() if name not in ("start", "source")]
    peak = max((phase["peak_mib"][0] for phase in counted), default=0.0) * 2**20
    print(f"ours: exit code {ours['exit_code']}, peak {peak / 2**30:.2f} GiB of resident memory,")
    print(f"  {'below' if peak < limit else 'ABOVE'} {options.memory_gib:g} GiB; {ours['counts']}")
    theirs = _try_published(options)
    print(f"published procedure in a process of {options.memory_gib:g} GiB: {theirs['words']}")
    return {"n": options.n, "k": options.k, "ours": ours, "peak_bytes": peak, "published": theirs}


def _measure_ours(options: Options) -> dict[str, Any]:
    """Run :func:`main` in a process of its own and watch it and all its children."""
    plain = {key: str(value) for key, value in dataclasses.asdict(options).items()}
    command = [sys.executable, __file__, json.dumps(plain)]
    phases: dict[str, dict[str, Any]] = {}
    counts: dict[str, Any] = {}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with PeakMemory(child.pid) as memory:
        for line in child.stdout:
            if not line.startswith(_PHASE):
                print(line, end="", flush=True)
                continue
            told = json.loads(line.removeprefix(_PHASE))
            if "seconds" in told:
                phases[told["phase"]] = {"seconds": told["seconds"]}
                counts |= told.get("counts", {})
                print(f"{told['phase']}: {told['seconds']:.1f} s", flush=True)
            else:
                memory.phase(told["phase"])
        exit_code = child.wait()
    for name, phase in phases.items():
        phase["peak_mib"] = [part / 2**20 for part in memory.peaks.get(name, (0, 0, 0))]
    return {"exit_code": exit_code, "phases": phases, "counts": counts}


def _try_published(options: Options) -> dict[str, Any]:
    """``X`` must be in RAM before anything is computed. Its centroids are the first rows: what they
    are matters to the result, not to the memory.
    """
    with tempfile.TemporaryDirectory(dir=options.cache) as folder:
        centroids = Path(folder) / "centroids.npy"
        np.save(centroids, options.base()[np.arange(options.k) % len(options.base())])
        source = source_path(options.cache, options.n, options.seed)
        tried = try_within(source, centroids, threads=options.cores, limit_gib=options.memory_gib)
    words = "it finished: " if tried["finished"] else f"it ended with {tried['exit_code']}: "
    return {**tried, "words": words + tried["said"]}


@click.command()
@click.argument("told")
def main(told: str) -> None:
    """Ours, stage by stage. ``TOLD``: the options as JSON."""
    given = json.loads(told)
    fields = {field.name: field.type for field in dataclasses.fields(Options)}
    kinds = {"int": int, "float": float, "Path": Path, "str": str}
    options = {name: kinds[str(fields[name])](value) for name, value in given.items()}
    _stages(Options(**options))


def _stages(options: Options) -> None:
    mib = options.memory_gib * 1024
    heap = {"spark.driver.memory": f"{int(_HEAP * mib)}m"}
    bench = _phase("source", lambda: options.bench("larger", heap))
    shutil.rmtree(bench.tables, ignore_errors=True)
    job = bench.job(
        cluster={"n_clusters": options.k, "sample_memory_mb": max(1, int(_SAMPLE * mib))},
        score={"unit_memory_mb": max(1, int(_UNIT * mib))},
        select={"eps": options.eps},
    )
    embed = _phase("embed", lambda: run_embed(job))
    cluster = _phase("cluster", lambda: run_cluster(job, embed))
    score = _phase("score", lambda: run_score(job, embed, cluster))
    _phase("select", lambda: run_select(job, embed, score))


def _phase(name: str, work: Callable[[], _T]) -> _T:
    """Do the work, and tell the watching process when it begins and ends."""
    print(_PHASE + json.dumps({"phase": name}), flush=True)
    begun = time.perf_counter()
    done = work()
    told = {"phase": name, "seconds": time.perf_counter() - begun}
    counts = done.counts if isinstance(done, StageRecord) else {}
    print(_PHASE + json.dumps({**told, "counts": counts}), flush=True)
    return done


if __name__ == "__main__":
    main()
