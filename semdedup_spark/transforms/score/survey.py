"""A sample of rows routed to clusters: how many members and visitors each cluster will have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.assign import Assigner
from semdedup_spark.kernels.cluster.cost import measured_rate
from semdedup_spark.kernels.score.borders import Prober, Probing
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of

Counts = npt.NDArray[np.int64]


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
    sample: DataFrame, centroids: CentroidSource, choices: Sequence[Probing | None]
) -> Survey:
    """Runs one Spark job, in one task. ``sample``: embedding; ``choices``: ways to probe, ``None``
    for not at all.
    """
    k, d = centroids.n_clusters, centroids.dimension

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        own = assigner_of(centroids)
        probers = [
            None if c is None else Prober(own.centroids, eps_max=c.eps_max, budget=c.budget)
            for c in choices
        ]
        n_rows, counts = 0, np.zeros((len(choices), k + 1), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                n_rows += batch.num_rows
                counts += count_borders(to_matrix(batch.column(0)), k, probers)
        packed = pa.array([counts.tobytes()], pa.binary())
        yield pa.RecordBatch.from_pydict(
            {"n": pa.array([n_rows], pa.int64()), "counts": packed, "rate": [measured_rate(d)]}
        )

    one_task = sample.select(s.EMBEDDING).repartition(1)
    row = map_batches(one_task, task, "n bigint, counts binary, rate double").first()
    if row is None:
        raise RuntimeError("the survey task returned nothing")
    counts = np.frombuffer(row["counts"], dtype=np.int64).reshape(-1, k + 1)
    return Survey(row["n"], list(counts[:, :k]), counts[:, k].tolist(), row["rate"])


def visited_clusters(
    targets: DataFrame, source: CentroidSource, probing: Probing | None, *, alone: bool
) -> tuple[Counts, Counts]:
    """((k,) targets in each cluster, (k,) targets that visit it from another one). Runs one Spark
    job. ``targets``: embedding; ``alone``: whether no other rows visit.
    """
    k = source.n_clusters

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        assigner, prober = assigner_of(source), None
        if probing is not None:
            centroids = assigner.centroids
            prober = Prober(centroids, eps_max=probing.eps_max, budget=probing.budget, alone=alone)
        counts = np.zeros((2, k), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                counts += _members_and_visits(to_matrix(batch.column(0)), assigner, prober)
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


def _members_and_visits(X: FloatArray, assigner: Assigner, prober: Prober | None) -> Counts:
    k = len(assigner.centroids)
    if prober is None:
        labels = assigner.assign(X).labels
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
