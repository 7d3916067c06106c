"""Cluster-stratified pruning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from semdedup_spark.config.strict import MOST_SEED, Number, StrictModel


class PruneConfig(StrictModel):
    """How many rows of each cluster are kept, and which: the key ``prune`` of a job file.

    Attributes
    ----------
    ratio
        Percent of each cluster's rows to keep, rounded up. 1 to 100, default 25.
    rank_type
        Order of the rows: ``cossim``, by cosine to the centroid, or ``random``, by a seeded hash.
    prune_type
        Which rows of that order are kept: ``common``, ``diverse``, ``stratified``, ``systematic``.
    exact_total
        Whether ``ratio`` is a percentage of all rows, rounded up once. Default: no.
    n_bins
        Number of similarity bins of ``stratified``. Default: 10.
    seed
        Seed of the hash. Default: 0.
    """

    ratio: Number = Field(default=25, ge=1, le=100)
    rank_type: Literal["random", "cossim"] = "cossim"
    prune_type: Literal["common", "diverse", "stratified", "systematic"] = "diverse"
    exact_total: bool = False
    n_bins: int = Field(default=10, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
