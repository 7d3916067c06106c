"""Inputs of awkward shapes: is the result exact, do workers stay small, is no task a straggler?

Centroids are given, not trained, so that the clusters have the sizes that the test wants.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
from measuring import Clock, PeakMemory, print_table
from options import Options
from pyspark.sql import SparkSession
from sparkjobs import Prepared, Scores, prepare, timed_score, unit_vectors

import semdedup_spark.pipeline.stages.cluster as cluster_stage
from semdedup_spark.kernels.cluster.lloyd import Clustering

FloatArray = np.ndarray[Any, np.dtype[np.float32]]
_D = 128
_UNIT_MB = 32
_ALLOWED_MB = 500
_CHECKED = 2048


class WorkerMemory(PeakMemory):
    """The largest resident memory of any one Python worker of Spark, in ``worker_peak``."""

    def __init__(self) -> None:
        super().__init__(os.getpid(), every=0.1)
        self.worker_peak = 0

    def _tree(self) -> list[psutil.Process]:
        tree = super()._tree()
        for process in tree:
            try:
                if "pyspark.daemon" in " ".join(process.cmdline()):
                    self.worker_peak = max(self.worker_peak, process.memory_info().rss)
            except psutil.Error:
                continue
        return tree


def run(options: Options) -> dict[str, Any]:
    log = Path(tempfile.mkdtemp(dir=options.cache))
    events = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": log.as_uri(),
        "spark.eventLog.compress": "false",
    }
    if (active := SparkSession.getActiveSession()) is not None:
        active.stop()  # of another part; it writes no event log
    shapes = {"awkward": awkward(options.seed), "zipf": zipf(options.seed)}
    results = {name: _measure(options, name, *shape, events) for name, shape in shapes.items()}
    SparkSession.getActiveSession().stop()  # type: ignore[union-attr]  # so that the log is whole
    for (name, result), seconds in zip(results.items(), _task_seconds(log), strict=True):
        results[name] = {**result, **_skew(name, seconds)}
    shutil.rmtree(log)
    return results


def awkward(seed: int) -> tuple[FloatArray, FloatArray]:
    """(rows, centroids): one cluster of 50,000 near-identical but different rows, one of 200,000
    equal rows, and 10,000 clusters of one row.
    """
    random = np.random.default_rng(seed)
    blob, copy = random.standard_normal((2, _D))
    near = blob + 10 ** random.uniform(-4, -1, (50_000, 1)) * random.standard_normal((50_000, _D))
    alone = random.standard_normal((10_000, _D))
    rows = np.concatenate([near, np.repeat(copy[None], 200_000, axis=0), alone])
    centroids = np.concatenate([blob[None], copy[None], alone])
    return _shuffled(rows, random), unit_vectors(centroids.astype(np.float32))


def zipf(seed: int) -> tuple[FloatArray, FloatArray]:
    """(rows, centroids): 400 clusters, the r-th of 60,000 / r rows."""
    random = np.random.default_rng(seed)
    centers = random.standard_normal((400, _D))
    sizes = (60_000 / np.arange(1, 401)).astype(int)
    rows = np.repeat(centers, sizes, axis=0)
    rows += 0.3 * random.standard_normal(rows.shape)
    return _shuffled(rows, random), unit_vectors(centers.astype(np.float32))


def _shuffled(rows: Any, random: np.random.Generator) -> FloatArray:
    return unit_vectors(rows[random.permutation(len(rows))].astype(np.float32))


def _measure(
    options: Options, name: str, X: FloatArray, centroids: FloatArray, events: dict[str, str]
) -> dict[str, Any]:
    bench = options.vectors_bench(f"shape-{name}", X, events)
    shutil.rmtree(bench.tables, ignore_errors=True)
    sizes = np.bincount((X @ centroids.T).argmax(axis=1), minlength=len(centroids))
    given_sizes = Clustering(centroids, sizes, [0.0])
    with mock.patch.object(cluster_stage, "fit_centroids", return_value=given_sizes):
        prepared = prepare(bench, {"n_clusters": len(centroids)})
    with WorkerMemory() as memory, Clock(f"score of shape {name}"):
        record, seconds = timed_score(prepared, rank_by="random", unit_memory_mb=_UNIT_MB)
    wrong = _wrong(prepared, X, centroids)
    peak = memory.worker_peak / 2**20
    print_table(
        f"shape {name}: {len(X):,} rows x {_D}, {len(centroids):,} clusters, random rank",
        ["", "value"],
        [
            ["seconds of the stage", seconds],
            ["comparisons", record.counts["comparisons"]],
            ["units", record.counts["units"]],
            ["rows whose score is not the brute-force one", wrong],
            ["peak RSS of any worker, MiB", peak],
            ["allowed: unit_memory_mb + 500", float(_UNIT_MB + _ALLOWED_MB)],
        ],
    )
    return {"seconds": seconds, "counts": record.counts, "wrong": wrong, "peak_mib": peak}


def _wrong(prepared: Prepared, X: FloatArray, centroids: FloatArray) -> int:
    """Rows whose stored M differs from brute force within their cluster by more than 2e-6."""
    scores: Scores = prepared.scores()
    labels = (X @ centroids.T).argmax(axis=1)
    wrong = 0
    for members in _clusters(labels):
        ordered = members[np.argsort(scores.rank[members])]
        truth = _max_earlier(X[ordered])
        wrong += int((np.abs(scores.max_similarity[ordered] - truth) > 2e-6).sum())
    return wrong


def _clusters(labels: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _max_earlier(X: FloatArray) -> FloatArray:
    """M of rows in rank order; the plainest way, except that equal rows are compared once."""
    _, first, inverse = np.unique(X, axis=0, return_index=True, return_inverse=True)
    heads = np.sort(first)
    Y, best = X[heads], np.zeros(len(X), dtype=np.float32)
    for start in range(0, len(Y), _CHECKED):
        products = Y[start : start + _CHECKED] @ Y[: start + _CHECKED].T
        products[:, start:][np.triu_indices(products.shape[0])] = 0.0
        best[heads[start : start + _CHECKED]] = np.clip(products.max(axis=1, initial=0.0), 0, 1)
    best[first[inverse.reshape(-1)] != np.arange(len(X))] = 1.0
    return best


def _task_seconds(log: Path) -> list[list[float]]:
    """Durations of the tasks of each Spark stage that compared units, in order of the stages."""
    stages: dict[int, list[float]] = {}
    for file in sorted(log.rglob("events*")):
        for line in file.read_text().splitlines():
            event = json.loads(line)
            if event["Event"] == "SparkListenerStageSubmitted":
                if "FlatMapGroupsInArrow" in line or "FlatMapGroupsInPandas" in line:
                    stages.setdefault(event["Stage Info"]["Stage ID"], [])
            elif event["Event"] == "SparkListenerTaskEnd" and event["Stage ID"] in stages:
                info = event["Task Info"]
                stages[event["Stage ID"]].append((info["Finish Time"] - info["Launch Time"]) / 1000)
    return [seconds for _, seconds in sorted(stages.items()) if seconds]


def _skew(name: str, seconds: list[float]) -> dict[str, Any]:
    longest, median = max(seconds), statistics.median(seconds)
    print(
        f"shape {name}: {len(seconds)} tasks; longest {longest:.2f} s, median {median:.2f} s, "
        f"ratio {longest / median:.2f}",
        flush=True,
    )
    return {"tasks": len(seconds), "longest_s": longest, "median_s": median}
