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
