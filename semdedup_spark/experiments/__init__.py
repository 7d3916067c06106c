"""The training sweep of Heo & Chen, which measures what a model learns from a selection.

Its names are what the notebooks use: train on a selection, read a sweep's results, and look at
clusters. Importing this package loads nothing else; each name loads when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semdedup_spark.lazy_names import loaded_from

if TYPE_CHECKING:
    from semdedup_spark.experiments.models import model_for
    from semdedup_spark.experiments.results import read_results, summarise
    from semdedup_spark.experiments.trainer import ArrayRows, Checkpoint, TrainSettings, train
    from semdedup_spark.in_memory.prune import keep_least_similar, max_similarity_in_clusters
    from semdedup_spark.kernels.statistics.cramers_v import cramers_v
    from semdedup_spark.kernels.statistics.histograms import cluster_histograms
    from semdedup_spark.report.cluster_figures import draw_gallery, draw_histograms

_HOMES = {
    "ArrayRows": "semdedup_spark.experiments.trainer",
    "Checkpoint": "semdedup_spark.experiments.trainer",
    "TrainSettings": "semdedup_spark.experiments.trainer",
    "cluster_histograms": "semdedup_spark.kernels.statistics.histograms",
    "cramers_v": "semdedup_spark.kernels.statistics.cramers_v",
    "draw_gallery": "semdedup_spark.report.cluster_figures",
    "draw_histograms": "semdedup_spark.report.cluster_figures",
    "keep_least_similar": "semdedup_spark.in_memory.prune",
    "max_similarity_in_clusters": "semdedup_spark.in_memory.prune",
    "model_for": "semdedup_spark.experiments.models",
    "read_results": "semdedup_spark.experiments.results",
    "summarise": "semdedup_spark.experiments.results",
    "train": "semdedup_spark.experiments.trainer",
}

__all__ = [
    "ArrayRows",
    "Checkpoint",
    "TrainSettings",
    "cluster_histograms",
    "cramers_v",
    "draw_gallery",
    "draw_histograms",
    "keep_least_similar",
    "max_similarity_in_clusters",
    "model_for",
    "read_results",
    "summarise",
    "train",
]


__getattr__ = loaded_from(__name__, _HOMES)
