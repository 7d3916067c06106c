"""One threshold against ten, over the same scores."""

from __future__ import annotations

import time
from typing import Any

from measuring import print_repeats
from options import Options
from sparkjobs import Prepared, timed_score

from semdedup_spark import schema as s
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.select.threshold import kept_fractions

GRID = [0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3]
LIMIT = 1.05


def run(options: Options) -> dict[str, Any]:
    prepared = options.prepared()
    measures: dict[str, list[float]] = {"score, s": [], "one eps, s": [], "ten eps, s": []}
    shares: list[float] = []
    for turn in range(options.repeats):
        measures["score, s"].append(timed_score(prepared)[1])
        # Which of the two comes first takes turns: the second finds the table's files warm.
        for name in ("one eps, s", "ten eps, s")[:: 1 if turn % 2 else -1]:
            grid = [options.eps] if name.startswith("one") else GRID
            seconds, kept = _timed_fractions(prepared, grid)
            measures[name].append(seconds)
            shares = kept if len(kept) > 1 else shares
    scored, one, ten = measures.values()
    ratios = [(a + c) / (a + b) for a, b, c in zip(scored, one, ten, strict=True)]
    measures["(score + ten) / (score + one)"] = ratios
    print_repeats(options.title("ten eps against one"), measures)
    shown = ", ".join(f"{eps:g}: {kept:.4f}" for eps, kept in zip(GRID, shares, strict=True))
    ratio = (min(scored) + min(ten)) / (min(scored) + min(one))
    verdict = "within" if ratio <= LIMIT else "ABOVE"
    print(f"kept at eps {shown}\nratio of the minima {ratio:.4f}: {verdict} the limit of {LIMIT}")
    return {
        "n": options.n,
        "k": options.k,
        **measures,
        "kept": dict(zip(GRID, shares, strict=True)),
    }


def _timed_fractions(prepared: Prepared, grid: list[float]) -> tuple[float, list[float]]:
    begun = time.perf_counter()
    job = prepared.bench.job()
    row = kept_fractions(read_table(job.spark, job.root, s.SCORES), grid).first()
    assert row is not None
    return time.perf_counter() - begun, [float(value) for value in row]
