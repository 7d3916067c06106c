"""Semantic deduplication of a data lake: SemDeDup as a PySpark and Delta Lake job.

Importing this package starts nothing: Spark, torch and the rest load when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from semdedup_spark.config import JobConfig, load_config, parse_config
    from semdedup_spark.entry import deduplicate
    from semdedup_spark.in_memory.prune import Clusters, cluster_vectors
    from semdedup_spark.in_memory.result import Deduplicated
    from semdedup_spark.in_memory.score import VectorScores, score_vectors
    from semdedup_spark.pipeline import JobSummary, open_job, run_job
    from semdedup_spark.pipeline.dataframe import DeduplicatedFrame
    from semdedup_spark.pipeline.queries.read_selection import SelectedTables, read_selection
    from semdedup_spark.session import open_session

_HOMES = {
    "JobConfig": "semdedup_spark.config",
    "load_config": "semdedup_spark.config",
    "parse_config": "semdedup_spark.config",
    "JobSummary": "semdedup_spark.pipeline",
    "open_job": "semdedup_spark.pipeline",
    "run_job": "semdedup_spark.pipeline",
    "SelectedTables": "semdedup_spark.pipeline.queries.read_selection",
    "read_selection": "semdedup_spark.pipeline.queries.read_selection",
    "open_session": "semdedup_spark.session",
    "VectorScores": "semdedup_spark.in_memory.score",
    "deduplicate": "semdedup_spark.entry",
    "Deduplicated": "semdedup_spark.in_memory.result",
    "DeduplicatedFrame": "semdedup_spark.pipeline.dataframe",
    "Clusters": "semdedup_spark.in_memory.prune",
    "cluster_vectors": "semdedup_spark.in_memory.prune",
    "score_vectors": "semdedup_spark.in_memory.score",
}

__all__ = [
    "Clusters",
    "Deduplicated",
    "DeduplicatedFrame",
    "JobConfig",
    "JobSummary",
    "SelectedTables",
    "VectorScores",
    "__version__",
    "cluster_vectors",
    "deduplicate",
    "load_config",
    "open_job",
    "open_session",
    "parse_config",
    "read_selection",
    "run_job",
    "score_vectors",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
