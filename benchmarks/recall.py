"""What a run misses across cluster borders, and what it costs not to: real texts, real images.

``python benchmarks/recall.py``
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from bruteforce import FloatArray, Pairs, max_earlier, only_above, pairs_above, recall_of
from measuring import Clock, min_and_median, print_table, write_json
from sparkjobs import Bench, Prepared, cached_source, prepare, session, timed_score, unit_vectors
from vectors import CACHE, DATA, base_vectors, image_vectors

from semdedup_spark.errors import ConfigError

EPS_MAX = (0.00095, 0.01, 0.03, 0.1)
PROBES = (1, 2, 4, 8)
_MARGIN = 1e-5
_FOLDER = click.Path(path_type=Path, file_okay=False)
_HEADER = ["way", "s, min", "s, median", "comparisons", "of all", "probes a row"]
_FOUND = ["expected", "found", "wrong", "recall", "certified"]


@dataclass(frozen=True)
class Way:
    """How rows find each other: a name, ``score.recall``, and whether in one cluster."""

    name: str
    recall: Any
    one_cluster: bool = False


WAYS = (
    Way("cluster", "cluster"),
    *(Way(f"probes {t}", {"probes": t}) for t in PROBES),
    Way("exact", "exact"),
    Way("all pairs (n_clusters 1)", "cluster", one_cluster=True),
)


@dataclass
class Truth:
    """Brute force over the vectors of one data set, for any rank order and eps."""

    pairs: Pairs
    known: dict[tuple[str, float], FloatArray] = field(default_factory=dict)

    def max_similarity(self, rank: np.ndarray, eps: float) -> FloatArray:
        key = (hashlib.sha256(rank.tobytes()).hexdigest(), eps)
        if key not in self.known:
            near = only_above(self.pairs, 1 - eps - _MARGIN)
            self.known[key] = max_earlier(near, rank)
        return self.known[key]


@dataclass(frozen=True)
class DataSet:
    """Tables of one data set, clustered and as one cluster."""

    name: str
    n: int
    clustered: Prepared
    whole: Prepared
    truth: Truth

    def of(self, way: Way) -> Prepared:
        return self.whole if way.one_cluster else self.clustered


def measure(data: DataSet, eps: float, repeats: int, rank_by: str) -> list[dict[str, Any]]:
    """One line for each way, at eps = eps_max; ways take turns within a repeat."""
    lines: dict[str, dict[str, Any]] = {}
    seconds: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for turn in range(repeats):
        for way in WAYS:
            line = _run(data, way, eps, rank_by, judged=turn == 0)
            if line is None:
                continue
            seconds[way.name].append(line.pop("seconds"))
            lines[way.name] = {**line, **lines.get(way.name, {})}
        print(f"{data.name}, eps_max {eps:g}: repeat {turn + 1} of {repeats} done", flush=True)
    for name, line in lines.items():
        line["s, min"], line["s, median"] = min_and_median(seconds[name])
    return [{"way": way.name, "eps_max": eps, **lines.get(way.name, {})} for way in WAYS]


def _run(
    data: DataSet, way: Way, eps: float, rank_by: str, *, judged: bool
) -> dict[str, Any] | None:
    """Score once; ``judged``: and compare with brute force. ``None``: no such setting here."""
    prepared = data.of(way)
    try:
        record, seconds = timed_score(prepared, recall=way.recall, eps_max=eps, rank_by=rank_by)
    except ConfigError as problem:
        if "score.recall" not in str(problem):
            raise
        print(f"{way.name}: not in this version ({str(problem).splitlines()[0]})")
        return None
    line: dict[str, Any] = {"seconds": seconds}
    if judged:
        comparisons, probes = record.counts.get("comparisons"), record.counts.get("probes")
        line["comparisons"] = comparisons
        line["of all"] = comparisons and comparisons / (data.n * (data.n - 1) / 2)
        line["probes a row"] = None if probes is None else probes / data.n
        line["certified"] = record.metrics.get("certified_share")
        line |= _judge(data, prepared, eps)
    return line


def _judge(data: DataSet, prepared: Prepared, eps: float) -> dict[str, Any]:
    scores = prepared.scores()
    found = recall_of(scores.removed(eps), data.truth.max_similarity(scores.rank, eps), eps)
    return {
        "expected": found.expected,
        "found": found.found,
        "wrong": found.wrong,
        "recall": found.share,
    }


def _data_sets(
    names: tuple[str, ...], n_images: int, k: int, cores: int, cache: Path, data: Path
) -> Iterator[DataSet]:
    spark = session(cores)
    for name in names:
        X = base_vectors(cache, data) if name == "text" else image_vectors(n_images, cache, data)
        source = cached_source(spark, cache / "sources" / f"{name}-{len(X)}", iter([X]))
        folder = cache / "tables" / f"recall-{name}-{len(X)}"
        clustered = prepare(Bench(spark, source, folder / str(k)), {"n_clusters": k})
        whole = prepare(Bench(spark, source, folder / "1"), {"n_clusters": 1})
        with Clock(f"brute force over {len(X):,} x {X.shape[1]}"):
            pairs = pairs_above(unit_vectors(X), 1 - max(EPS_MAX) - _MARGIN)
        yield DataSet(name, len(X), clustered, whole, Truth(pairs))


@click.command()
@click.option(
    "--set", "names", type=click.Choice(["text", "image"]), multiple=True, default=["text", "image"]
)
@click.option("--k", type=int, default=100, show_default=True, help="clusters")
@click.option("--images", "n_images", type=int, default=12_000, show_default=True)
@click.option("--rank-by", default="low", show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--fresh", is_flag=True, help="first remove the tables of earlier runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write all numbers here")
def main(
    names: tuple[str, ...],
    k: int,
    n_images: int,
    rank_by: str,
    repeats: int,
    cores: int,
    cache: Path,
    data: Path,
    fresh: bool,
    json_path: Path | None,
) -> None:
    """Seconds, comparisons and recall of each way, for each horizon."""
    if fresh:
        shutil.rmtree(cache / "tables", ignore_errors=True)
    results: dict[str, Any] = {}
    for data_set in _data_sets(names, n_images, k, cores, cache, data):
        results[data_set.name] = []
        for eps in EPS_MAX:
            lines = measure(data_set, eps, repeats, rank_by)
            header = [*_HEADER, *_FOUND]
            title = f"{data_set.name}, {data_set.n:,} rows, k = {k}, eps = eps_max = {eps:g}"
            print_table(title, header, [[line.get(name) for name in header] for line in lines])
            results[data_set.name] += lines
            write_json(json_path, results)


if __name__ == "__main__":
    main()
