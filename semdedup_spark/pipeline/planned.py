"""What every plan of comparisons needs to know: sizes, memory, tasks, how far rows probe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, SparkSession

from semdedup_spark import schema as s
from semdedup_spark.config import ProbeBudget, ScoreConfig
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.clustering import centroid_matrix, sample_rows
from semdedup_spark.transforms.routing import Probing

# A unit needs its vectors, a copy in rank order and the products of a block pair.
_COPIES_IN_UNIT = 3
_UNITS_IN_TASK = 8
_USUAL_TASKS = 200
_SURVEY_ROWS = 20_000
_SURVEY_PRODUCTS = 4 * 10**8
_SURVEY_SEED = 7


def clusters(centroids: DataFrame, n: int) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """((k, d) centroids, (k,) their sizes among n rows, estimated from the training sample)."""
    rows = sorted(centroids.select(s.CLUSTER_ID, s.CENTROID, s.SAMPLE_ROWS).collect())  # k rows
    sample = np.array([row[2] for row in rows], dtype=np.float64)
    return centroid_matrix([(row[0], row[1]) for row in rows]), sample * n / max(sample.sum(), 1)


def survey_sample(embeddings: DataFrame, n: int, centroids: FloatArray) -> DataFrame:
    """Some thousand rows, fewer where there are many clusters to compare each with."""
    wanted = min(_SURVEY_ROWS, _SURVEY_PRODUCTS // len(centroids))
    return sample_rows(embeddings, min(1.0, wanted / n), _SURVEY_SEED)


def probing_of(settings: ScoreConfig) -> Probing | None:
    """How far rows visit other clusters; ``None`` for the paper's way, not at all."""
    if settings.recall == "cluster":
        return None
    budget = settings.recall.probes if isinstance(settings.recall, ProbeBudget) else None
    return Probing(settings.eps_max, budget)


def rows_in_unit(settings: ScoreConfig, centroids: FloatArray) -> int:
    """Most vectors that fit in the memory of a unit."""
    return max(
        2, settings.unit_memory_mb * 2**20 // (4 * int(centroids.shape[1]) * _COPIES_IN_UNIT)
    )


def tasks(spark: SparkSession, n_units: int) -> int:
    """Spark tasks for so many units: a few units each, as starting a task is not free, and no fewer
    tasks than the session shuffles into. Where a unit is computed changes no result.
    """
    setting = spark.conf.get("spark.sql.shuffle.partitions") or ""
    shuffled = int(setting) if setting.isdigit() else _USUAL_TASKS  # Databricks also knows "auto"
    return min(n_units, max(shuffled, -(-n_units // _UNITS_IN_TASK)))


def sizes_of(centroids: DataFrame) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """((k, d) centroids, (k,) rows that each had when all were last counted)."""
    rows = sorted(centroids.select(s.CLUSTER_ID, s.CENTROID, s.N_ROWS).collect())  # k rows
    sizes = np.array([row[2] or 0 for row in rows], dtype=np.float64)
    return centroid_matrix([(row[0], row[1]) for row in rows]), sizes
