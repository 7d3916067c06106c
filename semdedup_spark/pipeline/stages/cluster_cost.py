"""What a number of clusters costs, before they are trained and after the table has grown."""

from __future__ import annotations

from pyspark.sql import DataFrame

from semdedup_spark.config import ClusterConfig, ScoreConfig
from semdedup_spark.kernels.cluster.cost import Forecast, cheapest, forecast
from semdedup_spark.kernels.cluster.size_curve import USUAL, SizeCurve
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.transforms.cluster.cluster_sizes import Sizes
from semdedup_spark.transforms.cluster.sample import sample_rows
from semdedup_spark.transforms.cluster.survey import survey_clusters

# Rows sampled to estimate cluster imbalance.
_IMBALANCE_SAMPLE_ROWS = 16_384


def cost_drift(settings: ClusterConfig, sizes: Sizes) -> float:
    """Compare the work with the present centroids to the work with new ones.

    Work means the comparisons within clusters and the assignment of rows to centroids. New clusters
    are taken to be as uneven as those of the training sample were.

    Parameters
    ----------
    settings
        The settings of the stage cluster.
    sizes
        Sizes of the present clusters, in the table and in the training sample.

    Returns
    -------
    float
        Work with the present centroids divided by work with new ones; 1 where there are no rows or
        the centroids were not trained here.
    """
    n, k = sizes.rows, sizes.n_clusters
    if not n or not sizes.sample_rows:
        return 1.0
    uneven = k * sizes.sample_pairs / sizes.sample_rows**2
    wanted = settings.n_clusters
    if not isinstance(wanted, int):
        wanted = forecast_of(settings, n, sizes.dimension, USUAL).n_clusters
    best = min(wanted, n)
    return float((sizes.pairs / 2 + n * k) / (uneven * n * n / best / 2 + n * best))


def expected_cost(job: Job, rows: DataFrame, n: int, dimension: int) -> Forecast:
    """Estimate what comparing the rows within clusters will cost.

    How uneven clusters are is measured on a sample.

    Parameters
    ----------
    job
        The job.
    rows
        Rows of (id, embedding).
    n
        Number of rows.
    dimension
        Length of an embedding.

    Returns
    -------
    Forecast
        For the configured number of clusters; for ``auto``, for the cheapest number.
    """
    settings = job.config.cluster
    sample = sample_rows(rows, min(1.0, _IMBALANCE_SAMPLE_ROWS / n), settings.seed)
    sizes = survey_clusters(sample, settings.seed)
    return forecast_of(settings, n, dimension, sizes)


def forecast_of(settings: ClusterConfig, n: int, dimension: int, sizes: SizeCurve) -> Forecast:
    """Estimate what comparing rows within clusters will cost, for clusters of known unevenness.

    Parameters
    ----------
    settings
        The settings of the stage cluster.
    n
        Number of rows.
    dimension
        Length of an embedding.
    sizes
        How uneven clusters are.

    Returns
    -------
    Forecast
        For the configured number of clusters; for ``auto``, for the cheapest number.
    """
    k, levels, per_cluster = (
        settings.n_clusters,
        settings.wanted_levels,
        settings.sample_per_cluster,
    )
    unit = ScoreConfig().unit_rows(
        dimension
    )  # by default: score.unit_memory_mb must not change a result
    if k == "auto":
        return cheapest(
            n,
            dimension,
            sample_per_cluster=per_cluster,
            unit_rows=unit,
            sizes=sizes,
            levels=levels,
        )
    return forecast(
        n,
        dimension,
        min(k, n),
        sample_per_cluster=per_cluster,
        unit_rows=unit,
        sizes=sizes,
        levels=levels,
    )
