"""Clustering and scoring: one frozen model a stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from semdedup_spark.config.strict import OPERATIONAL, Number, StrictModel
from semdedup_spark.rank_by import parse_rank_by

# A unit needs its vectors, a copy in rank order and the products of a block pair.
_COPIES_IN_UNIT = 3


class ClusterConfig(StrictModel):
    """How vectors are grouped."""

    n_clusters: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0)
    centroids: str | None = None
    sample_per_cluster: int = Field(default=256, ge=1)
    sample_memory_mb: int = Field(default=1024, ge=1)
    task_memory_mb: int = Field(default=1024, ge=1)
    levels: Literal[1, 2] | Literal["auto"] = "auto"
    seeding: Literal["rows", "plusplus", "mllib"] = "plusplus"

    @property
    def wanted_levels(self) -> int | None:
        """``None``: to be chosen."""
        return None if self.levels == "auto" else self.levels

    max_iterations: int = Field(default=20, ge=0)
    tolerance: Number = Field(default=1e-3, ge=0)
    retrain: Literal["never", "auto", "on_change"] = Field(
        default="never", json_schema_extra=OPERATIONAL
    )


class ProbeBudget(StrictModel):
    """At most so many other clusters that a row visits, nearest border first."""

    probes: int = Field(ge=0)


class ScoreConfig(StrictModel):
    """How rows are compared."""

    rank_by: str = "low"
    recall: Literal["cluster", "exact"] | ProbeBudget = "cluster"
    eps_max: Number = Field(default=0.3, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)
    unit_memory_mb: int = Field(default=256, ge=1, json_schema_extra=OPERATIONAL)
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=OPERATIONAL)
    precision: Literal["float32", "float16"] = Field(
        default="float32", json_schema_extra=OPERATIONAL
    )

    def unit_rows(self, dimension: int) -> int:
        """Most vectors that fit in the memory of a unit."""
        return max(2, self.unit_memory_mb * 2**20 // (4 * dimension * _COPIES_IN_UNIT))

    @field_validator("rank_by")
    @classmethod
    def _check_rank_by(cls, rank_by: str) -> str:
        parse_rank_by(rank_by)
        return rank_by
