"""From a sample: how large the clusters are, and how many rows will visit each."""

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
    """``members``: (k,) sample rows of each cluster; ``probes``: for each choice (k,) sample rows
    that would visit it; ``cut``: for each choice the sample rows that would visit less than they
    must; ``flops_per_second``: of a matrix product in a worker.
    """

    members: Counts
    probes: list[Counts]
    cut: list[int]
    flops_per_second: float

    @property
    def n_rows(self) -> int:
        """Size of the sample."""
        return int(self.members.sum())


def survey_borders(
    sample: DataFrame, centroids: FloatArray, choices: Sequence[Probing | None]
) -> Survey:
    """Runs one Spark job, in one task. ``sample``: embedding; ``choices``: ways to probe, ``None``
    for not at all.
    """
    k, d = centroids.shape

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counts = np.zeros((1 + len(choices), k + 1), dtype=np.int64)
        for batch in batches:
            if batch.num_rows:
                counts += count_borders(to_matrix(batch.column(0)), centroids, choices)
        yield pa.RecordBatch.from_pydict(
            {"counts": pa.array([counts.tobytes()], pa.binary()), "rate": [_measured_rate(d)]}
        )

    one_task = sample.select(s.EMBEDDING).repartition(1)
    row = map_batches(one_task, task, "counts binary, rate double").first()
    if row is None:
        raise RuntimeError("the survey task returned nothing")
    counts = np.frombuffer(row["counts"], dtype=np.int64).reshape(-1, k + 1)
    return Survey(counts[0, :k], list(counts[1:, :k]), counts[1:, k].tolist(), row["rate"])


def count_borders(
    X: FloatArray, centroids: FloatArray, choices: Sequence[Probing | None]
) -> Counts:
    """(1 + choices, k + 1): members of each cluster and 0; then for each choice the visits to each
    cluster, and the rows whose visits are cut.
    """
    k = len(centroids)
    counts = np.zeros((1 + len(choices), k + 1), dtype=np.int64)
    counts[0, :k] = np.bincount(assign(X, centroids).labels, minlength=k)
    for line, choice in zip(counts[1:], choices, strict=True):
        if choice is not None:
            prober = Prober(centroids, eps_max=choice.eps_max, budget=choice.budget)
            borders = prober(X)
            line[:k] = np.bincount(borders.visits.cluster, minlength=k)
            line[k] = np.count_nonzero(borders.is_cut())
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
