"""The lease of an output for library callers, under the name that README gives it."""

from semdedup_spark.pipeline.exclusive import held_output

__all__ = ["held_output"]
