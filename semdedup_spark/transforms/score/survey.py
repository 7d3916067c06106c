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
from semdedup_spark.transforms.arrow import to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of
from semdedup_spark.transforms.courier import (
    PARCEL,
    collect_parcel,
    map_to_parcels,
    parcels_of,
    to_parcel,
)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """What a sample of rows tells about each way to probe.

    Attributes
    ----------
    n_rows
        Rows of the sample.
    probes
        (k,) int64 for each choice. Sample rows that would visit each cluster.
    cut
        For each choice the sample rows that would visit fewer clusters than they must.
    flops_per_second
        Speed of a matrix product in a worker.
    """

    n_rows: int
    probes: list[Counts]
    cut: list[int]
    flops_per_second: float


def survey_borders(
    sample: DataFrame, centroids: CentroidSource, choices: Sequence[Probing | None]
) -> Survey:
    """Count visits in a sample of rows. Runs one Spark job, in one task.

    Parameters
    ----------
    sample
        Column embedding.
    centroids
        Where the task finds the centroids.
    choices
        Ways to probe, ``None`` for not at all.

    Returns
    -------
    Survey
        The counts.
    """
    k, d = centroids.n_clusters, centroids.dimension

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
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
        yield to_parcel(n=n_rows, counts=counts, rate=measured_rate(d))

    one_task = sample.select(s.EMBEDDING).repartition(1)
    found = collect_parcel(map_to_parcels(one_task, task))
    counts: Counts = found["counts"]
    visits, cut = list(counts[:, :k]), counts[:, k].tolist()
    return Survey(int(found["n"]), visits, cut, float(found["rate"]))


def visited_clusters(
    targets: DataFrame, source: CentroidSource, probing: Probing | None, *, alone: bool
) -> tuple[Counts, Counts]:
    """Count the targets in each cluster, and those that visit it. Runs one Spark job.

    Parameters
    ----------
    targets
        Column embedding.
    source
        Where tasks find the centroids.
    probing
        How far targets visit, ``None`` for not at all.
    alone
        Whether no other rows visit.

    Returns
    -------
    tuple[Counts, Counts]
        (k,) int64 targets in each cluster, and (k,) int64 targets that visit it from another one.
    """
    k = source.n_clusters

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        assigner, prober = assigner_of(source), None
        if probing is not None:
            centroids = assigner.centroids
            prober = Prober(centroids, eps_max=probing.eps_max, budget=probing.budget, alone=alone)
        counts = np.zeros((2, k), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                counts += members_and_visits(to_matrix(batch.column(0)), assigner, prober)
        yield to_parcel(counts=counts)

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        total = np.zeros((2, k), dtype=np.int64)
        for batch in batches:
            for part in parcels_of(batch.column(PARCEL)):
                total += part["counts"]
        yield to_parcel(counts=total)

    parts = map_to_parcels(targets.select(s.EMBEDDING), count)
    members, visits = collect_parcel(map_to_parcels(parts.repartition(1), add))["counts"]
    return members, visits


def members_and_visits(X: FloatArray, assigner: Assigner, prober: Prober | None) -> Counts:
    """Count the rows of each cluster, and the visits to it.

    Parameters
    ----------
    X
        (n, d) float32, unit rows.
    assigner
        Finds the cluster of a row.
    prober
        Finds the clusters that a row visits; ``None``: none.

    Returns
    -------
    Counts
        (2, k) int64. Rows of each cluster, then visits to it.
    """
    k = len(assigner.centroids)
    if prober is None:
        labels = assigner.assign(X).labels
        return np.stack([np.bincount(labels, minlength=k), np.zeros(k, np.int64)])
    borders = prober(X)
    both = borders.assignment.labels, borders.visits.cluster
    return np.stack([np.bincount(clusters, minlength=k) for clusters in both])


def count_borders(X: FloatArray, n_clusters: int, probers: Sequence[Prober | None]) -> Counts:
    """Count the visits that rows make.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    n_clusters
        Number of clusters, k.
    probers
        Ways to probe, ``None`` for not at all.

    Returns
    -------
    Counts
        (probers, k + 1) int64. Visits to each cluster, then the rows whose visits are cut.
    """
    counts = np.zeros((len(probers), n_clusters + 1), dtype=np.int64)
    for line, prober in zip(counts, probers, strict=True):
        if prober is not None:
            borders = prober(X)
            line[:-1] = np.bincount(borders.visits.cluster, minlength=n_clusters)
            line[-1] = np.count_nonzero(borders.is_cut())
    return counts
