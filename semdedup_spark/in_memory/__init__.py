"""SemDeDup and its pruning of vectors in one process: kernels only, no Spark."""

from semdedup_spark.in_memory.prune import Clusters, cluster_vectors
from semdedup_spark.in_memory.score import VectorScores, score_vectors

__all__ = ["Clusters", "VectorScores", "cluster_vectors", "score_vectors"]
