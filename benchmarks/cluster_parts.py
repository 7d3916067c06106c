"""The parts of ``cluster.py``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from measuring import PeakMemory, print_repeats, print_table, sgemm_rate
from options import Options
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sparkjobs import Bench, unit_vectors
from vectors import FloatArray, enlarge

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.assign import TwoLevels
from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.cluster.train import Training, apportion, train
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import run_cluster, run_embed, run_score
from semdedup_spark.pipeline.stages.compare_settings import trained
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of
from semdedup_spark.transforms.embed.vector_storage import LISTS, in_storage

_ITERATIONS = 20


def _another_tolerance() -> float:
    """The usual one, but never twice the same: or a result would be reused."""
    return 1e-3 + time.time() % 1e3 * 1e-9


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def _objective(X: FloatArray, centroids: FloatArray) -> float:
    """Mean similarity of all rows to their nearest centroid."""
    return float(assign(X, unit_rows(centroids).X).similarity.mean(dtype=np.float64))


def _embedded(bench: Bench) -> DataFrame:
    """The table ``embeddings``, made if it is not there."""
    job = bench.job()
    record = run_embed(job)
    job.ledger.flush()
    table = read_table(job.spark, job.root, s.EMBEDDINGS, record.outputs[s.EMBEDDINGS])
    return table.select(s.ID, s.EMBEDDING)


def training(options: Options) -> dict[str, Any]:
    """The stage ``cluster`` from Delta, which stops by itself; our kernel and faiss in memory and
    MLlib from Delta, with as many iterations each; on all rows, with our ways to begin.
    """
    n, k, cores = options.n, options.k, options.cores
    X = unit_vectors(enlarge(options.base(), n, options.seed))
    bench = options.bench("train")
    rows = _embedded(bench)
    all_rows = {"n_clusters": k, "sample_per_cluster": -(-n // k), "sample_memory_mb": 100_000}
    seconds: dict[str, list[float]] = {}
    objective: dict[str, float] = {}

    def note(name: str, centroids: FloatArray, taken: float) -> None:
        seconds.setdefault(name, []).append(taken)
        objective[name] = _objective(X, centroids)
        print(f"{name}: {taken:.2f} s, objective {objective[name]:.5f}", flush=True)

    for _ in range(options.repeats):
        for seeding in ("plusplus", "rows"):
            way = Training(0, _ITERATIONS, -1.0, seeding)
            fitted, taken = _timed(partial(train, X, k, way, cores))
            note(f"kernel, {seeding}", fitted.centroids, taken)
        note("faiss.Kmeans", *_faiss(X, k, cores))
        for seeding in ("plusplus", "mllib"):
            settings = {
                **all_rows,
                "task_memory_mb": 100_000,
                "seeding": seeding,
                "max_iterations": _ITERATIONS,
                "tolerance": _another_tolerance(),
                "levels": 1,
            }
            job = bench.job(cluster=settings)
            record, taken = _timed(partial(run_cluster, job))
            source = trained(read_table(job.spark, job.root, s.CENTROIDS)).source
            note(f"stage cluster, {seeding}", source.load()[0], taken)
            print(record.metrics["iterations"], "iterations", flush=True)
    note("MLlib KMeans", *_timed(lambda: _mllib(rows, k).clusterCenters()))
    print_repeats(options.title("seconds of training, 20 iterations at most"), seconds)
    base = min(seconds["faiss.Kmeans"])
    print_table(
        "best seconds over faiss's, and the objective over faiss's",
        ["", "seconds / faiss", "objective", "objective / faiss"],
        [
            [name, min(taken) / base, objective[name], objective[name] / objective["faiss.Kmeans"]]
            for name, taken in seconds.items()
        ],
    )
    return {"seconds": seconds, "objective": objective}


def real(options: Options) -> dict[str, Any]:
    """The objective on real texts as MiniLM embeds them, none of them made up, beside faiss's."""
    X = unit_vectors(options.base()[: options.n])
    table = []
    for k in (options.k // 4, options.k, options.k * 4):
        row: list[Any] = [k, _objective(X, _faiss(X, k, options.cores)[0])]
        for seeding in ("plusplus", "rows"):
            fitted = train(X, k, Training(0, _ITERATIONS, -1.0, seeding), options.cores)
            row.append(_objective(X, fitted.centroids) / row[1])
        table.append(row)
    header = ["clusters", "objective of faiss", "plusplus / faiss", "rows / faiss"]
    print_table(f"{len(X):,} real texts, {_ITERATIONS} iterations each", header, table)
    return {"table": table}


def _faiss(X: FloatArray, k: int, cores: int) -> tuple[FloatArray, float]:
    import faiss

    faiss.omp_set_num_threads(cores)
    model = faiss.Kmeans(
        X.shape[1], k, niter=_ITERATIONS, spherical=True, max_points_per_centroid=len(X), seed=1
    )
    _, taken = _timed(lambda: model.train(X))
    return np.asarray(model.centroids, dtype=np.float32), taken


def _mllib(rows: DataFrame, k: int) -> Any:
    # MLlib begins with k rows, drops those that are equal, and then fails for want of k.
    rows = in_storage(rows, LISTS).dropDuplicates([s.EMBEDDING])
    features = rows.select(array_to_vector(F.col(s.EMBEDDING)).alias("features")).cache()
    estimator = KMeans(
        k=k,
        maxIter=_ITERATIONS,
        tol=0.0,
        seed=0,
        initMode="random",
        distanceMeasure="cosine",
        solver="block",
    )
    fitted = estimator.fit(features)
    features.unpersist()
    return fitted


def assignment(options: Options) -> dict[str, Any]:
    """All rows from Delta to (id, cluster), against the machine's matrix products and MLlib."""
    n, k, cores = options.n, options.k, options.cores
    bench = options.bench("assign")
    rows = _embedded(bench)
    job = bench.job(cluster={"n_clusters": k, "levels": 1, "sample_per_cluster": 64})
    run_cluster(job)
    source = trained(read_table(job.spark, job.root, s.CENTROIDS)).source
    measures: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        rate = sgemm_rate(cores, 384)
        _, ours = _timed(lambda: _noop(assigned(rows, source)))
        rate = max(rate, sgemm_rate(cores, 384))
        bound = 2 * n * source.n_clusters * source.dimension / rate
        for name, value in (
            ("seconds", ours),
            ("seconds of the products alone", bound),
            ("share of the sgemm rate", bound / ours),
        ):
            measures.setdefault(name, []).append(value)
    small = rows.limit(min(n, 20_000))
    model = _mllib(small, min(k, 1000)) if options.repeats else None
    if model is not None:
        lists = in_storage(rows, LISTS)
        vectors = lists.select(s.ID, array_to_vector(F.col(s.EMBEDDING)).alias("features"))
        _, taken = _timed(lambda: _noop(model.transform(vectors).select(s.ID, "prediction")))
        measures["MLlib transform, seconds"] = [taken]
    print_repeats(options.title("assignment from Delta"), measures)
    return measures


def assigned(rows: DataFrame, source: CentroidSource) -> DataFrame:
    """``rows``: id, embedding; to id, cluster_id, similarity."""

    def body(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        assigner = assigner_of(source)
        for batch in batches:
            if batch.num_rows:
                found = assigner.assign(to_matrix(batch.column(1)))
                columns = [batch.column(0), pa.array(found.labels), pa.array(found.similarity)]
                yield pa.RecordBatch.from_arrays(columns, names=["id", "cluster", "similarity"])

    return map_batches(rows, body, "id bigint, cluster int, similarity float")


def _noop(rows: DataFrame) -> None:
    rows.write.format("noop").mode("overwrite").save()


def levels(options: Options) -> dict[str, Any]:
    """Two levels against one, in memory: seconds, objective, and rows that get another cluster."""
    n, k = options.n, options.k
    X = unit_vectors(enlarge(options.base(), n, options.seed))
    way = Training(0, _ITERATIONS, 1e-4)
    flat, flat_seconds = _timed(lambda: train(X, k, way, options.cores))
    (centroids, cells), two_seconds = _timed(lambda: _two_levels(X, k, way, options.cores))
    one, one_assign = _timed(lambda: assign(X, centroids))
    table = []
    for visited in (1, 2, 4, 8, 16):
        index = TwoLevels(centroids, cells, n_cells=visited)
        two, taken = _timed(partial(index.assign, X))
        same = float((two.labels == one.labels).mean())
        table.append([visited, taken / one_assign, same, float(two.similarity.mean(dtype=float))])
    print_table(
        f"training, {n:,} x 384, k = {k:,}",
        ["", "seconds", "objective, nearest of all centroids"],
        [
            ["one level", flat_seconds, _objective(X, flat.centroids)],
            ["two levels", two_seconds, float(one.similarity.mean(dtype=float))],
        ],
    )
    header = ["cells looked into", "seconds / flat", "same cluster as flat", "objective"]
    print_table("assignment through two levels", header, table)
    return {"flat": flat_seconds, "two": two_seconds, "cells": table}


def _two_levels(X: FloatArray, k: int, way: Training, cores: int) -> tuple[FloatArray, Any]:
    coarse = train(X, round(k**0.5), way, cores)
    labels = assign(X, coarse.centroids).labels
    quota = apportion(k, np.bincount(labels, minlength=len(coarse.centroids)))
    parts = [train(X[labels == c], int(share), way, cores) for c, share in enumerate(quota)]
    cells = np.repeat(np.arange(len(parts)), [len(part.centroids) for part in parts])
    return np.concatenate([part.centroids for part in parts]), cells.astype(np.int32)


def large(options: Options) -> dict[str, Any]:
    """Many clusters of made vectors of 64 numbers, trained and assigned; peak memory."""
    random, d = np.random.default_rng(options.seed), 64
    centers = random.standard_normal((options.k, d)).astype(np.float32)
    X = centers[random.integers(0, options.k, options.n)]
    X += 0.5 * random.standard_normal(X.shape, dtype=np.float32)
    bench = options.vectors_bench(f"large-{options.k}", unit_vectors(X), {})
    del X, centers
    rows = _embedded(bench)
    job = bench.job(cluster={"n_clusters": options.k, "tolerance": _another_tolerance()})
    with PeakMemory(os.getpid()) as memory:
        memory.phase("train")
        record, training_seconds = _timed(lambda: run_cluster(job))
        memory.phase("assign")
        source = trained(read_table(job.spark, job.root, s.CENTROIDS)).source
        _, assign_seconds = _timed(lambda: _noop(assigned(rows, source)))
    print(record.counts, record.metrics["objective"], type(source).__name__)
    table = [
        [phase, seconds, *(size / 2**30 for size in memory.peaks[phase])]
        for phase, seconds in (("train", training_seconds), ("assign", assign_seconds))
    ]
    header = ["", "seconds", "peak GiB", "of the JVM", "of Python, driver and workers"]
    print_table(f"{options.n:,} x {d}, k = {options.k:,}", header, table)
    return {"table": table, "counts": record.counts}


def growth(options: Options) -> dict[str, Any]:
    """Cluster and score with ``n_clusters: auto`` at n, 2n, 4n, 8n."""
    table, n = [], options.n
    base = options.base()
    for times in (1, 2, 4, 8):
        X = unit_vectors(enlarge(base, n * times, options.seed))
        bench = options.vectors_bench("growth", X, {})
        del X
        _embedded(bench)
        stages = {"cluster": {"n_clusters": "auto", "tolerance": _another_tolerance()}}
        job = bench.job(**stages)
        cluster, clustering = _timed(partial(run_cluster, job))
        _, scoring = _timed(partial(run_score, job, None, cluster))
        k = cluster.counts["n_clusters"]
        table.append([n * times, k, clustering, scoring, clustering + scoring])
        shutil.rmtree(bench.tables, ignore_errors=True)
    size, total = (np.log([row[column] for row in table]) for column in (0, 4))
    exponent = float(np.polyfit(size, total, 1)[0])
    header = ["rows", "clusters", "cluster s", "score s", "together s"]
    print_table("growth with n_clusters: auto", header, table)
    print(f"fitted exponent: {exponent:.2f}")
    return {"table": table, "exponent": exponent}
