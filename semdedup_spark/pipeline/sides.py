"""The two kinds of rows that a selection names: its own, and those that stand for removed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.embed import reference_settings
from semdedup_spark.pipeline.growth import batches_input
from semdedup_spark.pipeline.stages import Job, require_stage
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import table_state

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


def check_reference(job: Job) -> None:
    """Raise :class:`StageOrderError` where the scores were not made with the reference, or without
    one, that the job says: their neighbors would be taken for other rows.
    """
    score = job.ledger.last("score")
    if score is None:
        return
    was, wanted = s.REFERENCE in score.inputs, job.config.reference is not None
    if was != wanted:
        words = {True: "with a reference", False: "without one"}
        raise StageOrderError(
            f"scores must be those of the job, {words[wanted]}. They were made {words[was]}.",
            hint="run `semdedup run`; or give the two jobs outputs of their own.",
        )
    if wanted:
        reference = require_stage(job, "reference", reference_settings(job.config))
        if score.inputs[s.REFERENCE] != reference.result_key:
            raise StageOrderError(
                "scores must be made with the rows that the reference has now. It was embedded "
                "again since.",
                hint="run `semdedup score` again, or `semdedup run`.",
            )


def require_score(job: Job) -> StageRecord:
    """The record of the stage score, which must have run on the rows that are there now; see
    :func:`require_stage` and :func:`check_reference`.
    """
    score = require_stage(job, "score", job.config.score.identity())
    check_reference(job)
    state = table_state(job.spark, job.root, s.EMBEDDINGS)
    if state is None or score.inputs.get("batches") != batches_input(state.mark):
        raise StageOrderError(
            "every row of embeddings must be scored, and no other. Rows were embedded or forgotten "
            "since.",
            hint="run `semdedup score` again, or `semdedup run`.",
        )
    return score
