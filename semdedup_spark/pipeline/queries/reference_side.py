"""The two kinds of rows that a selection names: its own, and those that stand for removed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.pipeline.job_context import Job

_T = TypeVar("_T")


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


def of_both(
    job: Job, ask: Callable[[Side, set[Any]], dict[Any, _T]], own: set[Any], others: set[Any]
) -> tuple[dict[Any, _T], dict[Any, _T]]:
    """What ``ask`` tells, by id, of the job's ``own`` rows and of ``others``, neighbors and
    survivors; asked once where both are rows of one table.
    """
    if job.config.reference is None:
        told = ask(own_side(job), own | others)
        return told, told
    return ask(own_side(job), own), ask(survivor_side(job), others)
