"""Where the rows that a selection names come from: the job's own source, or its reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.visible import masked_repr

_T = TypeVar("_T")


@masked_repr
@dataclass(frozen=True)
class Side:
    """The rows of the source, or those of the reference. One id may occur on both sides, for
    different rows.

    Attributes
    ----------
    table
        Name of the table that holds their embeddings.
    source
        Where they were read.
    """

    table: str
    source: SourceConfig


def own_side(job: Job) -> Side:
    """Return the side of the rows that are kept or removed.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Side
        The rows of the source.
    """
    return Side(s.EMBEDDINGS, job.config.source)


def survivor_side(job: Job) -> Side:
    """Return the side of neighbors and survivors.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Side
        The rows of the reference where the job has one, else the rows of the source.
    """
    if job.config.reference is None:
        return own_side(job)
    return Side(s.REFERENCE, job.config.reference)


def ask_both(
    job: Job, ask: Callable[[Side, set[Any]], dict[Any, _T]], own: set[Any], others: set[Any]
) -> tuple[dict[Any, _T], dict[Any, _T]]:
    """Ask about rows of both sides. There is one question where both are rows of one table.

    Parameters
    ----------
    job
        The job.
    ask
        Takes a side and ids of its rows, and returns what is known of them by id.
    own
        Ids of rows that were kept or removed.
    others
        Ids of neighbors and survivors.

    Returns
    -------
    tuple[dict[Any, _T], dict[Any, _T]]
        What is known of ``own``, and of ``others``. Without a reference both are the same dict.
    """
    if job.config.reference is None:
        told = ask(own_side(job), own | others)
        return told, told
    return ask(own_side(job), own), ask(survivor_side(job), others)
