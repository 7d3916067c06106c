"""Clustering, scoring and selection: one frozen model a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from semdedup_spark.config.strict import OPERATIONAL, Number, StrictModel
from semdedup_spark.rank_by import parse_rank_by


class ClusterConfig(StrictModel):
    """How vectors are grouped."""

    n_clusters: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0)
    sample_per_cluster: int = Field(default=256, ge=1)
    sample_memory_mb: int = Field(default=1024, ge=1)
    max_iterations: int = Field(default=20, ge=0)
    tolerance: Number = Field(default=1e-4, ge=0)


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

    @field_validator("rank_by")
    @classmethod
    def _check_rank_by(cls, rank_by: str) -> str:
        parse_rank_by(rank_by)
        return rank_by


class SelectConfig(StrictModel):
    """Which rows are kept. Without either key: eps 0.05."""

    eps: Number | None = Field(default=None, gt=0, lt=1)
    keep: Number | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _default_eps(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("eps") is None and given.get("keep") is None:
            return {**given, "eps": 0.05}
        return given

    @model_validator(mode="after")
    def _one_rule(self) -> SelectConfig:
        if self.eps is not None and self.keep is not None:
            raise ValueError("must have eps or keep, not both")
        return self
