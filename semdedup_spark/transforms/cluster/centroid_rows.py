"""The tables ``centroids`` and ``clusters``: their rows, and the way back to arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.lloyd import Clustering, LabelArray
from semdedup_spark.kernels.vectors import FloatArray, pack, paired_similarity, unpack
from semdedup_spark.transforms.arrow import map_batches, to_lists, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource
from semdedup_spark.transforms.courier import collect_parcels, map_to_parcels, to_parcel

_PACK_ROWS = 4096
_CHECKED_ROWS = 256
# Other processors may round a float32 product otherwise; other centroids differ far more.
_TOLERANCE = 1e-5
_SIZE_DIGITS = 9
_SUMS = ("n_clusters", "dimension", "rows", "pairs", "sample_rows", "sample_pairs")


@dataclass(frozen=True)
class Centroids:
    """``X``: (k, d) float32, unit rows; ``sample_rows``: (k,) of the training sample; ``cells``:
    (k,) int32 with two levels.
    """

    X: FloatArray
    sample_rows: npt.NDArray[np.int64]
    cells: LabelArray | None

    @property
    def identity(self) -> str:
        """SHA-256, in hex, of all that decides to which cluster a row belongs. Scores hold only
        under centroids of the identity that they were made with.
        """
        digest = hashlib.sha256(f"{self.X.shape}".encode())
        digest.update(pack(self.X))
        if self.cells is not None:
            digest.update(self.cells.astype("<i4").tobytes())
        return digest.hexdigest()


def centroid_rows(one_row: DataFrame, clustering: Clustering, model_version: str) -> DataFrame:
    """The rows of the table ``centroids``. ``one_row``: any DataFrame of one row, whose session
    makes the result.
    """
    packed, d = pack(clustering.centroids), clustering.centroids.shape[1]
    counts = [int(count) for count in clustering.counts]
    cells = None if clustering.cells is None else clustering.cells.tolist()

    def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            centroids = unpack(packed, d)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array(range(len(counts)), pa.int32()),
                    to_lists(centroids),
                    pa.array(counts, pa.int64()),
                    pa.array(cells or [None] * len(counts), pa.int32()),
                    pa.array([model_version] * len(counts), pa.string()),
                ],
                names=[s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS, s.CELL_ID, s.MODEL_VERSION],
            )

    return map_batches(one_row, emit, s.CENTROIDS_DDL)


def cluster_rows(centroids: DataFrame, scores: DataFrame, eps_max: float) -> DataFrame:
    """The rows of the table ``clusters``: of each the number and the similarities of the rows that
    were assigned to it, and the share of these that are duplicates at ``eps_max``.
    """
    duplicate = F.col(s.MAX_SIMILARITY).cast("double") > F.lit(1.0 - eps_max)
    measured = scores.groupBy(s.CLUSTER_ID).agg(
        F.count(F.lit(1)).alias(s.N_ROWS),
        F.avg(s.CENTROID_SIMILARITY).alias(s.MEAN_SIMILARITY),
        F.min(s.CENTROID_SIMILARITY).cast("double").alias(s.MIN_SIMILARITY),
        F.avg(duplicate.cast("int")).alias(s.DUPLICATE_SHARE),
    )
    every = centroids.select(s.CLUSTER_ID).join(measured, s.CLUSTER_ID, "left")
    return every.fillna(0, [s.N_ROWS])


@dataclass(frozen=True)
class Sizes:
    """Of all clusters, once scored: how many there are, of how many dimensions; their ``rows`` and
    the sum of the squares of these, ``pairs``; the same of the training sample. ``shown``: the
    numbers of them that people look at, by name.
    """

    n_clusters: int
    dimension: int
    rows: int
    pairs: float
    sample_rows: int
    sample_pairs: float
    shown: dict[str, float]


def size_statistics(centroids: DataFrame, clusters: DataFrame) -> Sizes:
    """Of the tables of these names. Runs one Spark job.

    ``shown``: ``imbalance`` (k sum n_c^2 / n^2, 1 where all are equal), ``rows_p50``, ``rows_p99``,
    ``rows_max``, and a histogram: the clusters with no row, with 1 to 9, with 10 to 99 and so on;
    without those that are 0.
    """
    n, sampled = F.col(s.N_ROWS), F.coalesce(s.SAMPLE_ROWS, F.lit(0))
    bins = [
        F.count_if((n >= 10**digits) & (n < 10 ** (digits + 1))).alias(f"clusters_of_1e{digits}")
        for digits in range(_SIZE_DIGITS)
    ]
    trained = centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS)
    (row,) = (
        trained.join(clusters.select(s.CLUSTER_ID, s.N_ROWS), s.CLUSTER_ID)
        .agg(
            F.count(F.lit(1)).alias("n_clusters"),
            F.first(F.size(s.CENTROID)).alias("dimension"),
            F.sum(n).alias("rows"),
            F.sum(n.cast("double") * n).alias("pairs"),
            F.sum(sampled).alias("sample_rows"),
            F.sum(sampled.cast("double") * sampled).alias("sample_pairs"),
            F.percentile(n, 0.5).alias("rows_p50"),
            F.percentile(n, 0.99).alias("rows_p99"),
            F.max(n).alias("rows_max"),
            F.count_if(n == 0).alias("clusters_of_0"),
            *bins,
        )
        .collect()
    )
    found = row.asDict()
    sums = {name: found.pop(name) for name in _SUMS}
    shown = {name: float(value) for name, value in found.items() if value}
    if sums["rows"]:
        shown["imbalance"] = sums["n_clusters"] * sums["pairs"] / sums["rows"] ** 2
    return Sizes(**sums, shown=shown)


def collect_centroids(centroids: DataFrame) -> Centroids:
    """Bring the centroids to the driver, k x d numbers. Runs one Spark job.

    Parameters
    ----------
    centroids
        The table of this name.

    Returns
    -------
    Centroids
        The table as arrays.

    Raises
    ------
    ValueError
        If there is no row, or the cluster ids are not 0 to k - 1.
    """

    def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        for batch in batches:
            for start in range(0, batch.num_rows, _PACK_ROWS):
                yield _packed(batch.slice(start, _PACK_ROWS))

    columns = centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS, s.CELL_ID)
    parts = collect_parcels(map_to_parcels(columns, emit))
    if not parts:
        raise ValueError("centroids must have at least one row.")
    ids = np.concatenate([part["ids"] for part in parts])
    order = np.argsort(ids)
    if not np.array_equal(ids[order], np.arange(len(ids))):
        raise ValueError(
            f"cluster ids must be 0 to {len(ids) - 1}. Got {ids[order].tolist()[:10]}."
        )
    X, counts, cells = (
        np.concatenate([part[name] for part in parts]) for name in ("X", "counts", "cells")
    )
    has_cells = bool((cells >= 0).all())
    return Centroids(X[order], counts[order], cells[order] if has_cells else None)


def _packed(batch: pa.RecordBatch) -> bytes:
    return to_parcel(
        ids=batch.column(0).to_numpy(zero_copy_only=False).astype(np.int32),
        X=to_matrix(batch.column(1)),
        counts=batch.column(2).to_numpy(zero_copy_only=False).astype(np.int64),
        cells=batch.column(3).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32),
    )


def rows_in_clusters(scores: DataFrame, n_clusters: int) -> npt.NDArray[np.float64]:
    """(n_clusters,) rows of ``scores`` in each cluster. Runs one Spark job."""
    counted = scores.groupBy(s.CLUSTER_ID).count().collect()  # a row a cluster
    sizes = np.zeros(n_clusters)
    for cluster_id, n in counted:
        sizes[cluster_id] = n
    return sizes


def fits_centroids(embeddings: DataFrame, scores: DataFrame, centroids: CentroidSource) -> bool:
    """Whether scored rows are as similar to the centroids of their clusters as ``scores`` say.

    Looks at the first rows only: scores that were made with other centroids differ in nearly all
    of them. Runs one Spark job.
    """
    claimed = scores.select(s.ID, s.BATCH, s.CLUSTER_ID, s.CENTROID_SIMILARITY)
    some = embeddings.select(s.ID, s.BATCH, s.EMBEDDING).limit(_CHECKED_ROWS)
    rows = claimed.join(F.broadcast(some), [s.ID, s.BATCH])

    def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield pa.RecordBatch.from_pydict({"fits": [_fits(batch, centroids.load()[0])]})

    columns = rows.select(s.EMBEDDING, s.CLUSTER_ID, s.CENTROID_SIMILARITY)
    row = map_batches(columns, emit, "fits boolean").agg(F.every("fits")).first()
    return row is None or row[0] is not False


def _fits(batch: pa.RecordBatch, centroids: FloatArray) -> bool:
    labels = batch.column(1).to_numpy(zero_copy_only=False)
    if labels.min() < 0 or labels.max() >= len(centroids):
        return False
    similarity = paired_similarity(to_matrix(batch.column(0)), centroids[labels])
    claimed = batch.column(2).to_numpy(zero_copy_only=False)
    return bool((np.abs(similarity - claimed) <= _TOLERANCE).all())
