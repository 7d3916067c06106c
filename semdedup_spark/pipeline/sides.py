"""The two kinds of rows that a selection names: its own, and those that stand for removed ones."""

from __future__ import annotations

from dataclasses import dataclass

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.pipeline.stages import Job


@dataclass(frozen=True)
class Side:
    """``table``: of the rows' embeddings; ``source``: where they were read. The same id may occur
    on both sides of a job, for different rows.
    """

    table: str
    source: SourceConfig


def own_side(job: Job) -> Side:
    """The rows that are kept or removed."""
    return Side(s.EMBEDDINGS, job.config.source)


def survivor_side(job: Job) -> Side:
    """Neighbors and survivors: rows of the reference where there is one, else the job's own."""
    if job.config.reference is None:
        return own_side(job)
    return Side(s.REFERENCE, job.config.reference)
