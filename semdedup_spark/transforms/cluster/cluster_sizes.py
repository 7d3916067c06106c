"""The table ``clusters``: how many rows each cluster has, and how similar they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches

_SIZE_DIGITS = 9


@dataclass(frozen=True)
class ClusterMeasures:
    """What the scores say of each of the k clusters.

    Attributes
    ----------
    n_rows
        (k,) int64. Rows of the cluster.
    mean_similarity
        (k,) float64. Their mean similarity to the centroid; NaN without rows.
    min_similarity
        (k,) float64. The least of these; NaN without rows.
    duplicates
        (k,) int64. Rows that are duplicates at ``eps_max``.
    exhaustive
        (k,) int64. Rows that no pair can be missed of.
    settled
        (k,) int64. Rows that are exhaustive and no duplicates.
    """

    n_rows: npt.NDArray[np.int64]
    mean_similarity: npt.NDArray[np.float64]
    min_similarity: npt.NDArray[np.float64]
    duplicates: npt.NDArray[np.int64]
    exhaustive: npt.NDArray[np.int64]
    settled: npt.NDArray[np.int64]

    def table(self, one_row: DataFrame) -> DataFrame:
        """Make the rows of the table ``clusters``.

        Parameters
        ----------
        one_row
            Any DataFrame of one row. Its session makes the result.

        Returns
        -------
        DataFrame
            One row per cluster.
        """
        none = self.n_rows == 0
        columns = [
            pa.array(range(len(none)), pa.int32()),
            pa.array(self.n_rows, pa.int64()),
            pa.array(self.mean_similarity, pa.float64(), mask=none),
            pa.array(self.min_similarity, pa.float64(), mask=none),
            pa.array(self.duplicates / np.maximum(self.n_rows, 1), pa.float64(), mask=none),
        ]
        names = [s.CLUSTER_ID, s.N_ROWS, s.MEAN_SIMILARITY, s.MIN_SIMILARITY, s.DUPLICATE_SHARE]
        made = pa.RecordBatch.from_arrays(columns, names=names)

        def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for _ in batches:
                yield made

        return map_batches(one_row, emit, s.CLUSTERS_DDL)

    def certified_shares(self) -> dict[str, float]:
        """Tell how sure the scores are.

        Returns
        -------
        dict[str, float]
            ``exhaustive_share``: share of rows that no pair can be missed of. ``certified_share``:
            a lower bound of recall at ``eps_max``. A row that was found is a true duplicate, and
            only a row that is not exhaustive can be a duplicate that was not found.
        """
        n, found, maybe = (
            int(counts.sum())
            for counts in (self.n_rows, self.duplicates, self.n_rows - self.settled)
        )
        return {
            "exhaustive_share": int(self.exhaustive.sum()) / n,
            "certified_share": found / maybe if maybe else 1.0,
        }


def measure_clusters(scores: DataFrame, n_clusters: int, eps_max: float) -> ClusterMeasures:
    """Measure each cluster by the scores of its rows. Runs one Spark job.

    Parameters
    ----------
    scores
        The table of this name.
    n_clusters
        Number of clusters, k.
    eps_max
        Threshold of what is a duplicate.

    Returns
    -------
    ClusterMeasures
        One number of each kind per cluster.
    """
    duplicate = F.col(s.MAX_SIMILARITY).cast("double") > F.lit(1.0 - eps_max)
    exhaustive = F.col(s.EXHAUSTIVE)

    def n_of(flag: Column) -> Column:
        return F.count(F.when(flag, 1))

    measured = scores.groupBy(s.CLUSTER_ID).agg(
        F.count(F.lit(1)),
        F.avg(s.CENTROID_SIMILARITY),
        F.min(s.CENTROID_SIMILARITY).cast("double"),
        n_of(duplicate),
        n_of(exhaustive),
        n_of(exhaustive & ~duplicate),
    )
    counts, similarities = np.zeros((4, n_clusters), np.int64), np.full((2, n_clusters), np.nan)
    for cluster_id, n, mean, least, *flagged in measured.collect():  # a row a cluster
        counts[:, cluster_id] = n, *flagged
        similarities[:, cluster_id] = mean, least
    return ClusterMeasures(counts[0], *similarities, *counts[1:])


@dataclass(frozen=True)
class Sizes:
    """How large the clusters of a scored table are.

    Attributes
    ----------
    n_clusters
        Number of clusters, k.
    dimension
        Numbers in a vector.
    rows
        Number of rows in all clusters.
    pairs
        Sum of the squares of the numbers of rows.
    sample_rows
        Number of rows of the training sample.
    sample_pairs
        Sum of the squares of the numbers of rows of the training sample.
    shown
        Numbers for people, by name.
    """

    n_clusters: int
    dimension: int
    rows: int
    pairs: float
    sample_rows: int
    sample_pairs: float
    shown: dict[str, float]


def size_statistics(
    measured: ClusterMeasures, sample_rows: npt.NDArray[np.int64], dimension: int
) -> Sizes:
    """Tell how large clusters are.

    Parameters
    ----------
    measured
        What was measured of them.
    sample_rows
        (k,) int64. Rows of the training sample in each; 0 where they were not trained here.
    dimension
        Numbers in a vector.

    Returns
    -------
    Sizes
        ``shown`` has ``imbalance`` (k sum n_c^2 / n^2, 1 if all clusters are equal), ``rows_p50``,
        ``rows_p99``, ``rows_max``, and a histogram: the numbers of clusters with no row, with 1 to
        9, with 10 to 99 and so on. Numbers that are 0 are left out.
    """
    n = measured.n_rows
    rows, pairs = int(n.sum()), float((n.astype(float) ** 2).sum())
    return Sizes(
        n_clusters=len(n),
        dimension=dimension,
        rows=rows,
        pairs=pairs,
        sample_rows=int(sample_rows.sum()),
        sample_pairs=float((sample_rows.astype(float) ** 2).sum()),
        shown={name: float(value) for name, value in _shown(n, pairs).items() if value},
    )


def _shown(n: npt.NDArray[np.int64], pairs: float) -> dict[str, float]:
    if not n.sum():
        return {"clusters_of_0": len(n)}
    bins = {
        f"clusters_of_1e{d}": ((n >= 10**d) & (n < 10 ** (d + 1))).sum()
        for d in range(_SIZE_DIGITS)
    }
    return {
        "rows_p50": np.percentile(n, 50),
        "rows_p99": np.percentile(n, 99),
        "rows_max": n.max(),
        "clusters_of_0": (n == 0).sum(),
        **bins,
        "imbalance": len(n) * pairs / n.sum() ** 2,
    }


def rows_in_clusters(scores: DataFrame, n_clusters: int) -> npt.NDArray[np.float64]:
    """Count the rows in each cluster. Runs one Spark job.

    Parameters
    ----------
    scores
        Column cluster_id.
    n_clusters
        Number of clusters, k.

    Returns
    -------
    npt.NDArray[np.float64]
        (k,) float64. Rows in each cluster.
    """
    counted = scores.groupBy(s.CLUSTER_ID).count().collect()  # a row a cluster
    sizes = np.zeros(n_clusters)
    for cluster_id, n in counted:
        sizes[cluster_id] = n
    return sizes
