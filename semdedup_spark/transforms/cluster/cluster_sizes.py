"""The table ``clusters``: how many rows each cluster has, and how similar they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s

_SIZE_DIGITS = 9


def cluster_rows(centroids: DataFrame, scores: DataFrame, eps_max: float) -> DataFrame:
    """Make the rows of the table ``clusters``.

    Parameters
    ----------
    centroids
        The table of this name.
    scores
        The table of this name.
    eps_max
        Threshold of the share of duplicates.

    Returns
    -------
    DataFrame
        For each cluster the number of its rows, their similarities to the centroid, and the share
        of them that are duplicates at ``eps_max``.
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


def size_statistics(centroids: DataFrame, clusters: DataFrame) -> Sizes:
    """Measure how large clusters are. Runs one Spark job.

    Parameters
    ----------
    centroids
        The table of this name.
    clusters
        The table of this name.

    Returns
    -------
    Sizes
        ``shown`` has ``imbalance`` (k sum n_c^2 / n^2, 1 if all clusters are equal), ``rows_p50``,
        ``rows_p99``, ``rows_max``, and a histogram: the numbers of clusters with no row, with 1 to
        9, with 10 to 99 and so on. Numbers that are 0 are left out.
    """
    columns: list[Column] = [
        F.col(s.N_ROWS),
        F.coalesce(s.SAMPLE_ROWS, F.lit(0)),
        F.size(s.CENTROID),
    ]
    trained = centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS)
    counted = trained.join(clusters.select(s.CLUSTER_ID, s.N_ROWS), s.CLUSTER_ID)
    found = np.array(counted.select(*columns).collect(), np.int64).reshape(-1, 3)  # a row a cluster
    n, sampled, dimensions = found.T
    rows, pairs = int(n.sum()), float((n.astype(float) ** 2).sum())
    return Sizes(
        n_clusters=len(n),
        dimension=int(dimensions.max(initial=0)),
        rows=rows,
        pairs=pairs,
        sample_rows=int(sampled.sum()),
        sample_pairs=float((sampled.astype(float) ** 2).sum()),
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
