"""Clustering and scoring: one frozen model a stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from semdedup_spark.config.strict import (
    MOST,
    MOST_MB,
    MOST_SEED,
    OPERATIONAL,
    Number,
    StrictModel,
)
from semdedup_spark.rank_by import parse_rank_by

# A unit holds its vectors, a copy in rank order, and the products of a block pair.
_COPIES_IN_UNIT = 3


class ClusterConfig(StrictModel):
    """How vectors are grouped: the key ``cluster`` of a job file.

    Attributes
    ----------
    n_clusters
        Number of clusters, or ``auto``: the cheapest number.
    seed
        Random seed. Default: 0.
    centroids
        Table of centroids to use instead of training. ``None``: train.
    sample_per_cluster
        Rows of the training sample for each cluster. Default: 256.
    sample_memory_mb
        MiB of vectors that the sample may hold. Default: 1024.
    task_memory_mb
        MiB of vectors that one task may hold. Default: 1024.
    levels
        1, 2, or ``auto``: 2 above 4,096 clusters.
    seeding
        Source of the first centroids: ``plusplus``, ``rows`` or ``mllib``.
    max_iterations
        Most iterations of spherical k-means. Default: 20.
    tolerance
        Relative growth of the mean similarity below which training stops. Default: 0.001.
    retrain
        When a changed source leads to new centroids: ``never``, ``auto`` or ``on_change``.
    """

    n_clusters: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    centroids: str | None = None
    sample_per_cluster: int = Field(default=256, ge=1, le=MOST)
    sample_memory_mb: int = Field(default=1024, ge=1, le=MOST_MB)
    task_memory_mb: int = Field(default=1024, ge=1, le=MOST_MB)
    levels: Literal[1, 2] | Literal["auto"] = "auto"
    seeding: Literal["rows", "plusplus", "mllib"] = "plusplus"

    @property
    def wanted_levels(self) -> int | None:
        """Number of levels, 1 or 2. ``None``: still to be chosen."""
        return None if self.levels == "auto" else self.levels

    max_iterations: int = Field(default=20, ge=0, le=MOST)
    tolerance: Number = Field(default=1e-3, ge=0, le=MOST)
    retrain: Literal["never", "auto", "on_change"] = Field(
        default="never", json_schema_extra=OPERATIONAL
    )


class ProbeBudget(StrictModel):
    """Limit on the other clusters that a row visits, nearest border first.

    Attributes
    ----------
    probes
        Most other clusters per row, at least 0.
    """

    probes: int = Field(ge=0, le=MOST)


class ScoreConfig(StrictModel):
    """How rows are compared: the key ``score`` of a job file.

    Attributes
    ----------
    rank_by
        Which row survives: ``low``, ``high``, ``random``, or an SQL ``ORDER BY`` list.
    recall
        ``cluster``, ``exact``, or a :class:`ProbeBudget`.
    eps_max
        Largest eps that can be selected later, in (0, 1). Default: 0.3.
    seed
        Random seed of ``rank_by: random``. Default: 0.
    unit_memory_mb
        MiB that one unit of comparison may need in a worker. Default: 256.
    device
        ``auto``, ``cpu`` or ``cuda``.
    precision
        ``float32``, or ``float16`` for products on a GPU.
    """

    rank_by: str = "low"
    recall: Literal["cluster", "exact"] | ProbeBudget = "cluster"
    eps_max: Number = Field(default=0.3, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    unit_memory_mb: int = Field(default=256, ge=1, le=MOST_MB, json_schema_extra=OPERATIONAL)
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=OPERATIONAL)
    precision: Literal["float32", "float16"] = Field(
        default="float32", json_schema_extra=OPERATIONAL
    )

    def unit_rows(self, dimension: int) -> int:
        """Compute how many vectors fit in the memory of a unit.

        Parameters
        ----------
        dimension
            Length of a vector.

        Returns
        -------
        int
            Number of rows, at least 2.
        """
        return max(2, self.unit_memory_mb * 2**20 // (4 * dimension * _COPIES_IN_UNIT))

    @field_validator("rank_by")
    @classmethod
    def _check_rank_by(cls, rank_by: str) -> str:
        parse_rank_by(rank_by)
        return rank_by
