"""Cluster-stratified pruning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from semdedup_spark.config.strict import Number, StrictModel


class PruneConfig(StrictModel):
    """How many rows of each cluster are kept, and which."""

    ratio: Number = Field(default=25, ge=1, le=100)
    rank_type: Literal["random", "cossim"] = "cossim"
    prune_type: Literal["common", "diverse", "stratified", "systematic"] = "diverse"
    exact_total: bool = False
    n_bins: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)
