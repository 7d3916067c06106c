"""From a sample: how many rows will visit each cluster, for some ways to probe."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.kmeans import assign
from semdedup_spark.kernels.probing import Prober
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.routing import Probing

Counts = npt.NDArray[np.int64]
_RATE_ROWS = 1024


@dataclass(frozen=True)
class Survey:
    """``n_rows``: of the sample; ``probes``: for each choice (k,) sample rows that would visit each
    cluster; ``cut``: for each choice the sample rows that would visit less than they
    must; ``flops_per_second``: of a matrix product in a worker.
    """

    n_rows: int
    probes: list[Counts]
    cut: list[int]
    flops_per_second: float


def survey_borders(
    sample: DataFrame, centroids: FloatArray, choices: Sequence[Probing | None]
) -> Survey:
    """Runs one Spark job, in one task. ``sample``: embedding; ``choices``: ways to probe, ``None``
    for not at all.
    """
    k, d = centroids.shape

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        probers = [
            None if c is None else Prober(centroids, eps_max=c.eps_max, budget=c.budget)
            for c in choices
        ]
        n_rows, counts = 0, np.zeros((len(choices), k + 1), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                n_rows += batch.num_rows
                counts += count_borders(to_matrix(batch.column(0)), k, probers)
        packed = pa.array([counts.tobytes()], pa.binary())
        yield pa.RecordBatch.from_pydict(
            {"n": pa.array([n_rows], pa.int64()), "counts": packed, "rate": [_measured_rate(d)]}
        )

    one_task = sample.select(s.EMBEDDING).repartition(1)
    row = map_batches(one_task, task, "n bigint, counts binary, rate double").first()
    if row is None:
        raise RuntimeError("the survey task returned nothing")
    counts = np.frombuffer(row["counts"], dtype=np.int64).reshape(-1, k + 1)
    return Survey(row["n"], list(counts[:, :k]), counts[:, k].tolist(), row["rate"])


def visited_clusters(
    targets: DataFrame, centroids: FloatArray, probing: Probing | None, *, alone: bool
) -> tuple[Counts, Counts]:
    """((k,) targets in each cluster, (k,) targets that visit it from another one). Runs one Spark
    job. ``targets``: embedding; ``alone``: whether no other rows visit.
    """
    k = len(centroids)

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        prober = None
        if probing is not None:
            prober = Prober(centroids, eps_max=probing.eps_max, budget=probing.budget, alone=alone)
        counts = np.zeros((2, k), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                counts += _members_and_visits(to_matrix(batch.column(0)), centroids, prober)
        yield pa.RecordBatch.from_pydict({"counts": pa.array([counts.tobytes()], pa.binary())})

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = np.zeros((2, k), dtype=np.int64)
        for batch in batches:
            for packed in batch.column(0):
                total += np.frombuffer(packed.as_py(), dtype=np.int64).reshape(2, k)
        yield pa.RecordBatch.from_pydict({"counts": pa.array([total.tobytes()], pa.binary())})

    parts = map_batches(targets.select(s.EMBEDDING), count, "counts binary")
    row = map_batches(parts.repartition(1), add, "counts binary").first()
    if row is None:
        raise RuntimeError("the survey task returned nothing")
    members, visits = np.frombuffer(row["counts"], dtype=np.int64).reshape(2, k)
    return members, visits


def _members_and_visits(X: FloatArray, centroids: FloatArray, prober: Prober | None) -> Counts:
    k = len(centroids)
    if prober is None:
        labels = assign(X, centroids).labels
        return np.stack([np.bincount(labels, minlength=k), np.zeros(k, np.int64)])
    borders = prober(X)
    both = borders.assignment.labels, borders.visits.cluster
    return np.stack([np.bincount(clusters, minlength=k) for clusters in both])


def count_borders(X: FloatArray, n_clusters: int, probers: Sequence[Prober | None]) -> Counts:
    """(probers, k + 1): the visits to each cluster, and the rows whose visits are cut."""
    counts = np.zeros((len(probers), n_clusters + 1), dtype=np.int64)
    for line, prober in zip(counts, probers, strict=True):
        if prober is not None:
            borders = prober(X)
            line[:-1] = np.bincount(borders.visits.cluster, minlength=n_clusters)
            line[-1] = np.count_nonzero(borders.is_cut())
    return counts


def _measured_rate(dimension: int) -> float:
    """FLOP a second of a product like those of scoring, the best of a few."""
    A = np.ones((_RATE_ROWS, dimension), dtype=np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        _ = A @ A[::-1].T
        seconds.append(time.perf_counter() - start)
    return 2 * _RATE_ROWS * _RATE_ROWS * dimension / min(seconds)
