"""The table ``centroids``: its rows, and the way back to arrays."""

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


@dataclass(frozen=True)
class Centroids:
    """The table ``centroids`` as arrays.

    Attributes
    ----------
    X
        (k, d) float32. Unit rows.
    sample_rows
        (k,) int64. Rows of the training sample in each cluster.
    cells
        (k,) int32. Cell of each centroid, ``None`` with one level.
    """

    X: FloatArray
    sample_rows: npt.NDArray[np.int64]
    cells: LabelArray | None

    @property
    def identity(self) -> str:
        """SHA-256, in hex, of everything that decides which cluster a row belongs to.

        Scores are valid only under centroids of the identity that they were made with.
        """
        digest = hashlib.sha256(f"{self.X.shape}".encode())
        digest.update(pack(self.X))
        if self.cells is not None:
            digest.update(self.cells.astype("<i4").tobytes())
        return digest.hexdigest()


def centroid_rows(one_row: DataFrame, clustering: Clustering, model_version: str) -> DataFrame:
    """Make the rows of the table ``centroids``.

    Parameters
    ----------
    one_row
        Any DataFrame of one row. Its session makes the result.
    clustering
        The trained clusters.
    model_version
        Version of the encoder that made the vectors.

    Returns
    -------
    DataFrame
        One row per cluster.
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


def fits_centroids(embeddings: DataFrame, scores: DataFrame, centroids: CentroidSource) -> bool:
    """Check whether scored rows are as similar to their centroids as their scores say.

    Looks at the first rows only: scores that were made with other centroids differ in nearly all
    rows. Runs one Spark job.

    Parameters
    ----------
    embeddings
        Columns id, batch and embedding.
    scores
        Columns id, batch, cluster_id and centroid_similarity.
    centroids
        Where tasks find the centroids.

    Returns
    -------
    bool
        Whether the scores can have been made with these centroids.
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
