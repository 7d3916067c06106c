"""The files of the table ``centroids``, for workers that read them themselves."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import open_stream
from semdedup_spark.visible import masked_repr


@masked_repr
@dataclass(frozen=True)
class CentroidFiles:
    """Parquet files that hold the centroids at one version of the table. The object takes a few
    hundred bytes, whatever the number of centroids.

    Attributes
    ----------
    files
        Paths or URIs of the files.
    n_clusters
        Number of centroids, k.
    dimension
        Numbers in a centroid, d.
    """

    files: tuple[str, ...]
    n_clusters: int
    dimension: int

    def load(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32] | None]:
        """Read the centroids. Opens the files with the credentials of the machine.

        Returns
        -------
        tuple[npt.NDArray[np.float32], npt.NDArray[np.int32] | None]
            (k, d) float32 centroids; (k,) int32 cell of each, ``None`` with one level.

        Raises
        ------
        ValueError
            The files do not hold the clusters 0 to k - 1.
        """
        parts = []
        for path in self.files:
            with open_stream(path) as stream:
                table = pq.read_table(
                    pa.BufferReader(stream.read()), columns=[s.CLUSTER_ID, s.CENTROID, s.CELL_ID]
                )
            parts.append(table)
        table = pa.concat_tables(parts).sort_by(s.CLUSTER_ID).combine_chunks()
        ids = table.column(s.CLUSTER_ID).to_numpy()
        if not np.array_equal(ids, np.arange(self.n_clusters)):
            raise ValueError(
                f"{self.files} must hold the clusters 0 to {self.n_clusters - 1}. They hold "
                f"{len(ids)}, beginning with {ids[:5].tolist()}."
            )
        lists = table.column(s.CENTROID).combine_chunks()
        lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
        X = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        cells = table.column(s.CELL_ID)
        held = None if cells.null_count else cells.to_numpy().astype(np.int32)
        return X.reshape(self.n_clusters, self.dimension), held


def readable_files(centroids: DataFrame, n_clusters: int, dimension: int) -> CentroidFiles | None:
    """Find the table's files, if Python on this machine can open them and finds what Spark does.
    They may lie where only Spark has credentials (a catalog's storage), or belong to a table with
    deletion vectors or mapped columns.

    Parameters
    ----------
    centroids
        The table ``centroids`` at one version.
    n_clusters
        Number of centroids, k.
    dimension
        Numbers in a centroid, d.

    Returns
    -------
    CentroidFiles | None
        ``None`` where workers must get the centroids in another way.
    """
    try:
        names = [unquote(file) for file in centroids.inputFiles()]
        files = CentroidFiles(tuple(sorted(names)), n_clusters, dimension)
        files.load()
    except (PySparkException, SourceError, OSError, ValueError, KeyError, pa.ArrowException):
        return None
    return files
