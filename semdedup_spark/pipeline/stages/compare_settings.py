"""What every plan of comparisons needs to know: sizes, memory, tasks, how far rows probe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.config import ProbeBudget, ScoreConfig
from semdedup_spark.kernels.score.borders import Probing
from semdedup_spark.tables.centroid_files import readable_files
from semdedup_spark.transforms.cluster.centroid_rows import Centroids, collect_centroids
from semdedup_spark.transforms.cluster.centroid_source import CentroidsInClosure, CentroidSource
from semdedup_spark.transforms.cluster.cluster_sizes import rows_in_clusters
from semdedup_spark.transforms.cluster.sample import sample_rows

_UNITS_IN_TASK = 8
_USUAL_TASKS = 200
# Rows sampled to estimate the visits, and most products of them with centroids.
_VISIT_SAMPLE_ROWS = 20_000
_SURVEY_PRODUCTS = 4 * 10**8
_SURVEY_SEED = 7
# Beyond so many bytes centroids are read by the workers, once each, rather than sent to every
# task. Spark Connect refuses closures of 128 MiB.
LARGEST_CLOSURE = 16 * 2**20


@dataclass(frozen=True)
class Clusters:
    """What a plan needs to know of the clusters.

    Attributes
    ----------
    source
        Where tasks find the (k, d) centroids.
    sizes
        (k,) float64. Rows in each cluster, possibly estimated.
    """

    source: CentroidSource
    sizes: npt.NDArray[np.float64]

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.source.dimension


@dataclass(frozen=True)
class Trained:
    """The trained centroids, brought to the driver once.

    Attributes
    ----------
    table
        The table ``centroids``.
    held
        Its contents.
    """

    table: DataFrame
    held: Centroids

    @cached_property
    def source(self) -> CentroidSource:
        """Where tasks find the centroids.

        Returns
        -------
        CentroidSource
            The table's files if they are many and Python can read them; else they travel with the
            tasks.
        """
        X, cells = self.held.X, self.held.cells
        files = readable_files(self.table, *X.shape) if X.nbytes > LARGEST_CLOSURE else None
        return CentroidsInClosure.of(X, cells) if files is None else files

    def estimated_clusters(self, n: int) -> Clusters:
        """Estimate the sizes of clusters from the training sample.

        Parameters
        ----------
        n
            Number of rows in all clusters.

        Returns
        -------
        Clusters
            The centroids and the sizes.
        """
        sampled = self.held.sample_rows
        return Clusters(self.source, sampled * n / max(sampled.sum(), 1))

    def counted_clusters(self, scores: DataFrame) -> Clusters:
        """Count the rows of each cluster. Runs one Spark job.

        Parameters
        ----------
        scores
            Rows with their cluster_id.

        Returns
        -------
        Clusters
            The centroids and the sizes.
        """
        return Clusters(self.source, rows_in_clusters(scores, len(self.held.X)))


def trained(centroids: DataFrame) -> Trained:
    """Bring the centroids to the driver. Runs one Spark job.

    Parameters
    ----------
    centroids
        The table of this name.

    Returns
    -------
    Trained
        Where tasks find them, and what a plan needs to know.
    """
    return Trained(centroids, collect_centroids(centroids))


def survey_sample(embeddings: DataFrame, n: int, centroids: CentroidSource) -> DataFrame:
    """Choose some thousand rows, fewer if there are many clusters to compare each with.

    Parameters
    ----------
    embeddings
        Column id and others.
    n
        Number of rows.
    centroids
        The clusters.

    Returns
    -------
    DataFrame
        The chosen rows.
    """
    wanted = min(_VISIT_SAMPLE_ROWS, _SURVEY_PRODUCTS // centroids.n_clusters)
    return sample_rows(embeddings, min(1.0, wanted / n), _SURVEY_SEED)


def probing_of(settings: ScoreConfig) -> Probing | None:
    """Tell how far rows visit other clusters.

    Parameters
    ----------
    settings
        Section ``score`` of the configuration.

    Returns
    -------
    Probing | None
        ``None`` for the paper's way, not at all.
    """
    if settings.recall == "cluster":
        return None
    budget = settings.recall.probes if isinstance(settings.recall, ProbeBudget) else None
    return Probing(settings.eps_max, budget)


def tasks(spark: SparkSession, n_units: int) -> int:
    """Choose the number of Spark tasks for units.

    A few units each, because starting a task is not free; but no fewer tasks than the session
    shuffles into. Where a unit is computed changes no result.

    Parameters
    ----------
    spark
        The session.
    n_units
        Number of units.

    Returns
    -------
    int
        Number of tasks.
    """
    setting = spark.conf.get("spark.sql.shuffle.partitions") or ""
    shuffled = int(setting) if setting.isdigit() else _USUAL_TASKS  # Databricks also knows "auto"
    return min(n_units, max(shuffled, -(-n_units // _UNITS_IN_TASK)))
