"""SemDeDup and pruning of vectors in one process, with the job's kernels and without Spark."""

from semdedup_spark.in_memory.prune import Clusters, cluster_vectors
from semdedup_spark.in_memory.score import VectorScores, score_vectors

__all__ = ["Clusters", "VectorScores", "cluster_vectors", "score_vectors"]
