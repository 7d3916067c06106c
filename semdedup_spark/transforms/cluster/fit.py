"""k-means on a sample: in one task where it fits, else in all of them; large k on two levels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.lloyd import ArrayData, Clustering, assign
from semdedup_spark.kernels.cluster.partial_sums import PartialSums
from semdedup_spark.kernels.cluster.train import (
    Training,
    apportion,
    refine,
    shuffle,
    train,
    train_shuffled,
    with_as_many,
)
from semdedup_spark.kernels.vectors import FloatArray, pack, unpack
from semdedup_spark.transforms.arrow import map_batches, map_groups, to_matrix
from semdedup_spark.transforms.cluster.pack_by_cell import (
    CELL,
    by_cell,
    gathered,
    in_order_of_ids,
    packed_schema,
)
from semdedup_spark.transforms.embed.vector_storage import LISTS, in_storage

MLLIB = "mllib"
# MLlib's cosine k-means keeps k x k arrays (SPARK-36553), so it is not used beyond this k.
_LARGEST_MLLIB_K, _MLLIB_ROWS_PER_CLUSTER = 2000, 32
_MLLIB_ITERATIONS = 5
_MLLIB_PARTITIONS = 8
_SHARES = 2**20
# A result travels in rows of at most so many numbers (16 MiB as float64).
_PACK_ENTRIES = 2**21
_FITTED = "cell int, place int, centroids binary, counts binary, objective array<double>"
_ROWS_PER_CELL = 256


@dataclass(frozen=True)
class Sample:
    """``rows``: id, embedding, and others; ``n``: how many; ``task_rows``: as many as a task may
    hold.
    """

    rows: DataFrame
    n: int
    dimension: int
    task_rows: int

    def part(self, n: int, seed: int) -> Sample:
        """About ``n`` of the rows."""
        share = min(1.0, n / max(self.n, 1))
        return replace(self, rows=sample_rows(self.rows, share, seed), n=min(n, self.n))


def sample_rows(rows: DataFrame, share: float, seed: int) -> DataFrame:
    """About ``share`` (0 to 1] of the rows, chosen by a hash of the id: always the same ones."""
    if share >= 1.0:
        return rows
    position = F.pmod(F.xxhash64(F.lit(seed), F.col(s.ID)), F.lit(_SHARES))
    return rows.filter(position < int(share * _SHARES))


def count_contents(rows: DataFrame) -> tuple[int, int]:
    """(rows, different contents); clusters beyond those, which stay empty, need not be tried.
    ``rows``: content_hash.
    """
    row = rows.agg(F.count(F.lit(1)), F.count_distinct(s.CONTENT_HASH)).first()
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


def fit_centroids(
    sample: Sample, n_clusters: int, training: Training, *, levels: int = 1
) -> Clustering:
    """Train on ``sample``. Runs Spark jobs; brings back only the centroids (k x d) and their
    counts. The same rows and seed give the same centroids, however the rows are partitioned.
    """
    if levels == 2 and n_clusters > 3:
        return _fit_two_levels(sample, n_clusters, training)
    start = None
    if training.seeding == MLLIB and 1 < n_clusters <= _LARGEST_MLLIB_K:
        part = sample.part(n_clusters * _MLLIB_ROWS_PER_CLUSTER, training.seed + 1)
        start = _mllib_centroids(part.rows, n_clusters, training.seed)
    if sample.n <= sample.task_rows:
        return _fit_in_one_task(sample.rows, n_clusters, training, start)
    if start is None:
        # Half of what fits: the number of rows that a hash chooses varies.
        part = sample.part(sample.task_rows // 2, training.seed + 1)
        start = with_as_many(_fit_in_one_task(part.rows, n_clusters, training), n_clusters)
    return refine(SampleData(sample.rows, sample.dimension), start, training)


def _mllib_centroids(rows: DataFrame, n_clusters: int, seed: int) -> FloatArray | None:
    """(n_clusters, d), or ``None`` where all rows are equal."""
    lists = in_storage(rows.select(s.ID, s.EMBEDDING), LISTS)
    # MLlib begins with k rows, drops those that are equal, and then fails for want of k.
    distinct = lists.groupBy(s.EMBEDDING).agg(F.min(s.ID).alias(s.ID))
    k = min(n_clusters, distinct.count())
    if k < 2:
        return None
    # Its result depends on which rows lie in which partition, and in which order.
    fixed = distinct.select(s.ID, array_to_vector(F.col(s.EMBEDDING)).alias("features"))
    fixed = fixed.repartition(_MLLIB_PARTITIONS, s.ID).sortWithinPartitions(s.ID)
    estimator = KMeans(
        k=k,
        seed=seed,
        maxIter=_MLLIB_ITERATIONS,
        initMode="random",
        distanceMeasure="cosine",
        solver="block",  # "auto" picks the slow one
    )
    centers = np.array(estimator.fit(fixed).clusterCenters())
    # Partitions may be summed in any order; rounding drops the bits that the order decides.
    rounded: FloatArray = centers.round(6).astype(np.float32)
    return rounded[np.arange(n_clusters) % len(rounded)]  # equal ones are found empty, and moved


def _fit_in_one_task(
    rows: DataFrame, n_clusters: int, training: Training, start: FloatArray | None = None
) -> Clustering:
    """``start``: where to begin, found here if ``None``."""
    start_bytes = None if start is None else pack(start)
    cores = task_cores(rows)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        packed = pa.Table.from_batches(batches)
        threads = cores or _own_cores()
        if start_bytes is None:
            n = pc.sum(pc.list_value_length(packed.column("ids"))).as_py()
            X = in_order_of_ids(packed, shuffle(n, training))
            fitted = train_shuffled(X, n_clusters, training, threads)
        else:
            X = in_order_of_ids(packed)
            with threadpool_limits(1, user_api="blas"):
                data = ArrayData(X, threads)
                fitted = refine(data, unpack(start_bytes, X.shape[1]), training)
        yield from fitted_rows(fitted)

    return _collected(map_batches(gathered(rows), task, _FITTED))


def task_cores(rows: DataFrame) -> int:
    """Threads for a task that runs alone on its executor; 0: all that its process may use."""
    try:
        setting = rows.sparkSession.conf.get("spark.executor.cores", "") or ""
    except PySparkException:  # serverless platforms hide it
        return 0
    return int(setting) if setting.isdigit() else 0


def _own_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fitted_rows(fitted: Clustering, cell: int = 0) -> Iterator[pa.RecordBatch]:
    """A clustering as rows of bounded size."""
    size = max(1, _PACK_ENTRIES // fitted.centroids.shape[1])
    for place, start in enumerate(range(0, len(fitted.centroids), size)):
        rows = slice(start, start + size)
        columns = [
            pa.array([cell], pa.int32()),
            pa.array([place], pa.int32()),
            pa.array([pack(fitted.centroids[rows])], pa.binary()),
            pa.array([fitted.counts[rows].astype("<i8").tobytes()], pa.binary()),
            pa.array([fitted.objective], pa.list_(pa.float64())),
        ]
        names = [CELL, "place", "centroids", "counts", "objective"]
        yield pa.RecordBatch.from_arrays(columns, names=names)


def _collected(fitted: DataFrame) -> Clustering:
    """What :func:`fitted_rows` made, of all cells in their order; the objective is that of all."""
    rows = sorted(fitted.collect(), key=lambda row: (row[CELL], row["place"]))  # k x d numbers
    if not rows:
        raise RuntimeError("the training task returned nothing")
    counts = [np.frombuffer(row["counts"], dtype="<i8") for row in rows]
    dimension = len(rows[0]["centroids"]) // 4 // len(counts[0])
    cells = np.repeat([row[CELL] for row in rows], [len(some) for some in counts])
    history = rows[0]["objective"]
    if rows[0][CELL] != rows[-1][CELL]:
        weights = [some.sum() for some in counts]
        history = [float(np.average([row["objective"][-1] for row in rows], weights=weights))]
    return Clustering(
        np.concatenate([unpack(bytes(row["centroids"]), dimension) for row in rows]),
        np.concatenate(counts),
        list(history),
        np.unique(cells, return_inverse=True)[1].astype(np.int32) if len(set(cells)) > 1 else None,
    )


def _fit_two_levels(sample: Sample, n_clusters: int, training: Training) -> Clustering:
    """About sqrt(k) cells from a part of the sample, then clusters inside each cell, which are
    shared out by the cells' rows. Each cell is one group of a grouped-map UDF.
    """
    n_cells = round(math.sqrt(n_clusters))
    share = min(sample.task_rows // 2, n_cells * _ROWS_PER_CELL)
    part = sample.part(share, training.seed + 1)
    coarse = _fit_in_one_task(part.rows, n_cells, training)
    quota = apportion(n_clusters, coarse.counts)
    packed, dimension = pack(coarse.centroids), coarse.centroids.shape[1]

    def send(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                X = to_matrix(batch.column(1))
                yield by_cell(batch.column(0), X, assign(X, unpack(packed, dimension)).labels)

    def fit(group: pa.Table) -> pa.Table:
        cell = group.column(CELL)[0].as_py()
        fitted = train(in_order_of_ids(group), int(quota[cell]), training)
        return pa.Table.from_batches(list(fitted_rows(fitted, cell)))

    rows = sample.rows.select(s.ID, s.EMBEDDING)
    sent = map_batches(rows, send, packed_schema(rows))
    fine = _collected(map_groups(sent, CELL, fit, _FITTED))
    return replace(fine, objective=[*coarse.objective, *fine.objective])


class SampleData:
    """The rows of a sample, summed up where they are. ``rows``: embedding."""

    def __init__(self, rows: DataFrame, dimension: int) -> None:
        self._rows = rows.select(s.EMBEDDING)
        self._dimension = dimension

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """See :class:`~kernels.cluster.lloyd.KMeansData`. One Spark job: a task sums up its
        partition and hands on blocks of clusters, which other tasks add up. Sums are exact, so
        it does not matter which rows a task has, or in which order blocks come.
        """
        packed, k, d = pack(centroids), len(centroids), self._dimension

        def sum_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            total = _no_sums(k, d)
            for batch in batches:
                if batch.num_rows:
                    data = ArrayData(to_matrix(batch.column(0)))
                    total += data.partial_sums(unpack(packed, d))
            yield from sum_rows(total)

        def merge(group: pa.Table) -> pa.Table:
            blocks = [_unpacked(row, d) for row in group.to_pylist()]
            total = sum(blocks[1:], start=blocks[0])
            block = group.column("block")[0].as_py()
            return pa.Table.from_batches([_sum_row(block, total)])

        schema = "block int, sums binary, counts binary"
        partial = map_batches(self._rows, sum_up, schema)
        merged = map_groups(partial, "block", merge, schema).collect()  # k x d numbers
        parts = [_unpacked(row.asDict(), d) for row in sorted(merged)]
        return PartialSums(
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


def _no_sums(k: int, d: int) -> PartialSums:
    return PartialSums(np.zeros((k, d)), np.zeros(k, dtype=np.int64))


def sum_rows(sums: PartialSums) -> Iterator[pa.RecordBatch]:
    """Partial sums as rows, one for each block of clusters."""
    size = max(1, _PACK_ENTRIES // max(sums.sums.shape[1], 1))
    for block, start in enumerate(range(0, len(sums.counts), size)):
        rows = slice(start, start + size)
        yield _sum_row(block, PartialSums(sums.sums[rows], sums.counts[rows]))


def _sum_row(block: int, sums: PartialSums) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "block": pa.array([block], pa.int32()),
            "sums": pa.array([sums.sums.astype("<f8").tobytes()], pa.binary()),
            "counts": pa.array([sums.counts.astype("<i8").tobytes()], pa.binary()),
        }
    )


def _unpacked(row: dict[str, bytes], dimension: int) -> PartialSums:
    sums = np.frombuffer(bytes(row["sums"]), dtype="<f8").reshape(-1, dimension)
    counts = np.frombuffer(bytes(row["counts"]), dtype="<i8")
    return PartialSums(sums, counts)
