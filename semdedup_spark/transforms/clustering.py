"""k-means on a sample: MLlib finds the first centroids, spherical Lloyd in one task refines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.clustering import KMeans
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.kmeans import ArrayData, Clustering, spherical_lloyd
from semdedup_spark.kernels.vectors import FloatArray, pack, unpack
from semdedup_spark.transforms.arrow import map_batches, to_lists, to_matrix

# MLlib's cosine k-means keeps k x k arrays (SPARK-36553) and is the slow part: beyond this k the
# first centroids are rows of the sample instead.
_LARGEST_MLLIB_K = 2000
_MLLIB_ROWS_PER_CLUSTER = 32
_MLLIB_ITERATIONS = 5
_MLLIB_PARTITIONS = 8
_SHARES = 2**20


@dataclass(frozen=True)
class Training:
    """Settings of the refinement, as plain values."""

    seed: int
    max_iterations: int
    tolerance: float


def sample_rows(rows: DataFrame, share: float, seed: int) -> DataFrame:
    """About ``share`` (0 to 1] of the rows, chosen by a hash of the id: always the same ones."""
    if share >= 1.0:
        return rows
    position = F.pmod(F.xxhash64(F.lit(seed), F.col(s.ID)), F.lit(_SHARES))
    return rows.filter(position < int(share * _SHARES))


def count_vectors(rows: DataFrame) -> tuple[int, int]:
    """(rows, different embeddings by 64-bit hash); more clusters than those cannot be filled."""
    measures = F.count(F.lit(1)), F.count_distinct(F.xxhash64(s.EMBEDDING))
    row = rows.agg(*measures).first()
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


def fit_centroids(
    sample: DataFrame, n_rows: int, n_clusters: int, training: Training
) -> Clustering:
    """Train on ``sample`` (id, embedding; n_rows of them). Runs Spark jobs; brings back only the
    centroids (k x d) and their counts. The same rows and seed give the same centroids, however the
    rows are partitioned.
    """
    start = None
    if 1 < n_clusters <= _LARGEST_MLLIB_K:
        part = sample_rows(sample, n_clusters * _MLLIB_ROWS_PER_CLUSTER / n_rows, training.seed + 1)
        start = _mllib_centroids(part, n_clusters, training.seed)
    return _refine(sample, n_clusters, start, training)


def _mllib_centroids(rows: DataFrame, n_clusters: int, seed: int) -> FloatArray:
    # MLlib's result depends on which rows lie in which partition, and in which order.
    fixed = rows.select(s.ID, array_to_vector(F.col(s.EMBEDDING)).alias("features"))
    fixed = fixed.repartition(_MLLIB_PARTITIONS, s.ID).sortWithinPartitions(s.ID)
    estimator = KMeans(
        k=n_clusters,
        seed=seed,
        maxIter=_MLLIB_ITERATIONS,
        initMode="random",
        distanceMeasure="cosine",
        solver="block",  # "auto" picks the slow one
    )
    centers = np.array(estimator.fit(fixed).clusterCenters())
    # Partitions may be summed in any order; rounding drops the bits that the order decides.
    rounded: FloatArray = centers.round(6).astype(np.float32)
    return rounded


def _refine(
    sample: DataFrame, n_clusters: int, start: FloatArray | None, training: Training
) -> Clustering:
    start_bytes = None if start is None else pack(start)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = pa.Table.from_batches(batches)
        yield refine_table(table, n_clusters, start_bytes, training)

    one_task = sample.select(s.ID, s.EMBEDDING).repartition(1).sortWithinPartitions(s.ID)
    result = "centroids binary, counts binary, objective array<double>"
    row = map_batches(one_task, task, result).first()
    if row is None:
        raise RuntimeError("the training task returned nothing")
    counts = np.frombuffer(row["counts"], dtype="<i8")
    centroids = unpack(bytes(row["centroids"]), len(row["centroids"]) // 4 // len(counts))
    return Clustering(centroids, counts, list(row["objective"]))


def refine_table(
    table: pa.Table, n_clusters: int, start: bytes | None, training: Training
) -> pa.RecordBatch:
    """The task's body: all sample rows in one table to one row of packed centroids."""
    X = to_matrix(table.column(s.EMBEDDING))
    if start is None:
        chosen = np.random.default_rng(training.seed).choice(len(X), n_clusters, replace=False)
        first = X[np.sort(chosen)]
    else:
        first = unpack(start, X.shape[1])
    fitted = spherical_lloyd(
        ArrayData(X), first, max_iterations=training.max_iterations, tolerance=training.tolerance
    )
    return pa.RecordBatch.from_pydict(
        {
            "centroids": pa.array([pack(fitted.centroids)], pa.binary()),
            "counts": pa.array([fitted.counts.astype("<i8").tobytes()], pa.binary()),
            "objective": pa.array([fitted.objective], pa.list_(pa.float64())),
        }
    )


def centroid_rows(one_row: DataFrame, clustering: Clustering, model_version: str) -> DataFrame:
    """The ``centroids`` table's rows before scoring. ``one_row``: any DataFrame of one row, whose
    session makes the result.
    """
    packed, d = pack(clustering.centroids), clustering.centroids.shape[1]
    counts = [int(count) for count in clustering.counts]

    def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            centroids = unpack(packed, d)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(range(len(counts)), pa.int32()),
                    to_lists(centroids),
                    pa.array(counts, pa.int64()),
                ],
                names=[s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS],
            )

    made = map_batches(
        one_row, emit, f"{s.CLUSTER_ID} int, {s.CENTROID} array<float>, {s.SAMPLE_ROWS} bigint"
    )
    return made.select(
        "*",
        F.lit(None).cast("bigint").alias(s.N_ROWS),
        F.lit(None).cast("double").alias(s.MEAN_SIMILARITY),
        F.lit(None).cast("double").alias(s.MIN_SIMILARITY),
        F.lit(model_version).alias(s.MODEL_VERSION),
    )


def with_statistics(centroids: DataFrame, scores: DataFrame) -> DataFrame:
    """``centroids`` with the number and the similarities of the rows that were assigned."""
    measured = scores.groupBy(s.CLUSTER_ID).agg(
        F.count(F.lit(1)).alias(s.N_ROWS),
        F.avg(s.CENTROID_SIMILARITY).alias(s.MEAN_SIMILARITY),
        F.min(s.CENTROID_SIMILARITY).cast("double").alias(s.MIN_SIMILARITY),
    )
    columns = centroids.columns
    bare = centroids.drop(s.N_ROWS, s.MEAN_SIMILARITY, s.MIN_SIMILARITY)
    joined = bare.join(measured, s.CLUSTER_ID, "left").fillna(0, [s.N_ROWS])
    return joined.select(*columns)


def centroid_matrix(rows: list[tuple[int, list[float]]]) -> FloatArray:
    """(k, d) float32 from (cluster_id, centroid) pairs in any order; ids must be 0 .. k - 1."""
    ordered = sorted(rows)
    ids: npt.NDArray[np.int64] = np.array([cluster for cluster, _ in ordered])
    if not np.array_equal(ids, np.arange(len(ordered))):
        raise ValueError(f"cluster ids must be 0 to {len(ordered) - 1}. Got {ids.tolist()[:10]}.")
    return np.array([centroid for _, centroid in ordered], dtype=np.float32)
