"""k-means on a sample: in one task if it fits, else in all tasks; a large k on two levels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.lloyd import ArrayData, Clustering, assign
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
from semdedup_spark.transforms.cluster.sample import Sample
from semdedup_spark.transforms.cluster.spread_sums import PARCEL_NUMBERS, SampleData
from semdedup_spark.transforms.courier import (
    PARCEL,
    PARCEL_DDL,
    collect_parcels,
    map_to_parcels,
    to_parcel,
)
from semdedup_spark.transforms.embed.vector_storage import LISTS, in_storage

MLLIB = "mllib"
# MLlib's cosine k-means keeps k x k arrays (SPARK-36553), so it is not used beyond this k.
_LARGEST_MLLIB_K, _MLLIB_ROWS_PER_CLUSTER = 2000, 32
_MLLIB_ITERATIONS = 5
_MLLIB_PARTITIONS = 8
_ROWS_PER_CELL = 256


def fit_centroids(
    sample: Sample, n_clusters: int, training: Training, *, levels: int = 1
) -> Clustering:
    """Train centroids. Runs Spark jobs; only the centroids and their counts reach the driver.

    The same rows and seed give the same centroids, however the rows are partitioned.

    Parameters
    ----------
    sample
        The rows to train on.
    n_clusters
        Number of clusters, k.
    training
        How to train.
    levels
        1 for flat clusters; 2 to train about sqrt(k) cells first, and the clusters within each.

    Returns
    -------
    Clustering
        (k, d) centroids, and the rows of the sample in each cluster.
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
    # Here, because pandas and scipy come along: a second in every command and every worker.
    from pyspark.ml.clustering import KMeans
    from pyspark.ml.functions import array_to_vector

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

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
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
        yield from _parcels_of(fitted)

    return _collected(map_to_parcels(gathered(rows), task))


def task_cores(rows: DataFrame) -> int:
    """Tell how many threads a task may use that runs alone on its executor.

    Parameters
    ----------
    rows
        Rows of the session that will run the task.

    Returns
    -------
    int
        Number of threads; 0 for all that the process of the task may use.
    """
    try:
        setting = rows.sparkSession.conf.get("spark.executor.cores", "") or ""
    except PySparkException:  # serverless platforms hide it
        return 0
    return int(setting) if setting.isdigit() else 0


def _own_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parcels_of(fitted: Clustering, cell: int = 0) -> Iterator[bytes]:
    """A clustering in parcels of bounded size."""
    size = max(1, PARCEL_NUMBERS // fitted.centroids.shape[1])
    for place, start in enumerate(range(0, len(fitted.centroids), size)):
        rows = slice(start, start + size)
        yield to_parcel(
            cell=cell,
            place=place,
            centroids=fitted.centroids[rows],
            counts=fitted.counts[rows],
            objective=fitted.objective,
        )


def _collected(fitted: DataFrame) -> Clustering:
    """All cells in their order, of the parcels of :func:`_parcels_of`. The objective is that of
    all cells.
    """
    parts = sorted(collect_parcels(fitted), key=lambda part: (part["cell"], part["place"]))
    if not parts:
        raise RuntimeError("a training task must return centroids. It returned nothing.")
    counts = [part["counts"] for part in parts]
    cells = np.repeat([part["cell"] for part in parts], [len(some) for some in counts])
    history = parts[0]["objective"].tolist()
    if parts[0]["cell"] != parts[-1]["cell"]:
        weights = [some.sum() for some in counts]
        history = [float(np.average([part["objective"][-1] for part in parts], weights=weights))]
    return Clustering(
        np.concatenate([part["centroids"] for part in parts]),
        np.concatenate(counts),
        history,
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
        return pa.table({PARCEL: pa.array(_parcels_of(fitted, cell), pa.binary())})

    rows = sample.rows.select(s.ID, s.EMBEDDING)
    sent = map_batches(rows, send, packed_schema(rows))
    fine = _collected(map_groups(sent, CELL, fit, PARCEL_DDL))
    return replace(fine, objective=[*coarse.objective, *fine.objective])
