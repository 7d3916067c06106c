"""Seconds of the stage ``score`` for a night's new rows, beside those of scoring everything.

``python benchmarks/batch.py --n 1000000 --new 10000 --new 1000 --new 100 --recall exact``
"""

from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring import print_table, write_json
from sparkjobs import Bench, Prepared, prepare, session, timed_score
from vectors import CACHE, DATA, base_vectors, enlarge, write_source

from semdedup_spark.pipeline import run_cluster, run_embed, run_score

HOW = """One output: {n:,} x {d} rows, k = {k}, then night after night new rows of the same kind,
each the stages embed, cluster and score as `semdedup run` does them. `full`: the stage score on
all rows, before the first night, computed {repeats} times; its least time counts. `score`: the
stage on the new rows, Delta to Delta, with its writes and statistics. `ratio`: score / full."""


@click.command()
@click.option("--n", type=int, default=1_000_000, show_default=True, help="old rows")
@click.option("--new", "sizes", type=int, multiple=True, default=(10_000, 1_000, 100))
@click.option("--k", type=int, help="clusters; by default the square root of n")
@click.option("--recall", type=click.Choice(["cluster", "exact"]), default="cluster")
@click.option("--eps-max", type=float, default=0.05, show_default=True, help="of recall exact")
@click.option(
    "--storage", type=click.Choice(["array", "binary"]), default="array", show_default=True
)
@click.option("--repeats", type=int, default=2, show_default=True, help="of the full score")
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(
    n: int,
    sizes: tuple[int, ...],
    k: int | None,
    recall: str,
    eps_max: float,
    storage: str,
    repeats: int,
    cores: int,
    seed: int,
    cache: Path,
    data: Path,
    json_path: Path | None,
) -> None:
    """Score all rows, then one night after the other, and print what each cost."""
    score = {"recall": recall, **({"eps_max": eps_max} if recall == "exact" else {})}
    clusters = {"n_clusters": k or max(1, math.isqrt(n))}
    X = enlarge(base_vectors(cache, data), n + sum(sizes), seed)
    # In random order, as the copies of a row lie near it.
    X = X[np.random.default_rng(seed).permutation(len(X))]
    place = cache / "batch" / f"{recall}-{n}-{seed}"
    shutil.rmtree(place, ignore_errors=True)
    spark = session(cores)
    write_source(spark, np.array_split(X[:n], max(1, n // 50_000)), place / "source")
    bench = Bench(spark, place / "source", place / "tables", storage)
    prepared = prepare(bench, clusters)
    full = min(timed_score(prepared, **score)[1] for _ in range(repeats))
    _night(prepared, {**score})  # the scores that the nights add to, with the usual seed
    rows, first = [], n
    for size in sizes:
        _add(bench, X[first : first + size], first, place)
        first += size
        rows.append(_night(prepared, score))
        print(f"{size:,} new rows: {rows[-1]}, full {full:.2f} s", flush=True)
    print(HOW.format(n=n, d=X.shape[1], k=clusters["n_clusters"], repeats=repeats))
    print_table(
        f"recall {recall}: full score {full:.2f} s",
        ["new rows", "embed, s", "score, s", "ratio", "comparisons"],
        [
            [f"{size:,}", row["embed"], row["score"], row["score"] / full, row["comparisons"]]
            for size, row in zip(sizes, rows, strict=True)
        ],
    )
    write_json(json_path, {"n": n, "full": full, "nights": dict(zip(sizes, rows, strict=True))})


def _add(bench: Bench, X: np.ndarray[Any, Any], first: int, place: Path) -> None:
    """Append rows to the source; their ids count on."""
    scratch = place / f"night-{first}"
    write_source(bench.spark, [X], scratch)
    more = bench.spark.read.format("delta").load(str(scratch))
    shifted = more.selectExpr(f"id + {first} AS id", "v")
    shifted.write.format("delta").mode("append").save(str(bench.source))


def _night(prepared: Prepared, score: dict[str, Any]) -> dict[str, float]:
    job = prepared.score_job(**score)
    begun = time.perf_counter()
    embed = run_embed(job)
    embedded = time.perf_counter()
    cluster = run_cluster(job, embed)
    clustered = time.perf_counter()
    record = run_score(job, embed, cluster)
    return {
        "embed": embedded - begun,
        "score": time.perf_counter() - clustered,
        "targets": record.counts.get("targets", record.counts["rows"]),
        "comparisons": record.counts["comparisons"],
    }


if __name__ == "__main__":
    main()
