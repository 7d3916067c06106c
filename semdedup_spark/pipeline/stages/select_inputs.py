"""What a selection depends on besides its settings and the scores."""

from __future__ import annotations

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.embed import ERASED
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.states import last_change

_NO_OVERRIDES = "none"


def selection_inputs(
    score: StageRecord, embed: StageRecord, overrides: dict[str, str], *, agreement: bool
) -> dict[str, str]:
    """Return all that a selection depends on besides its settings.

    Parameters
    ----------
    score
        Record of the stage score.
    embed
        Record of the stage embed.
    overrides
        See :func:`overrides_input`.
    agreement
        Whether the selection asks for an agreement.

    Returns
    -------
    dict[str, str]
        Inputs of the stage.
    """
    inputs = {s.SCORES: score.result_key, **overrides, **_erased_input(embed)}
    # Earlier releases wrote no table assignment: what they selected is selected again, once.
    return inputs | _agreement_input(asked=agreement) | {"tables": f"with {s.ASSIGNMENT}"}


def overrides_input(job: Job) -> dict[str, str]:
    """Return the identity of the decisions of people that a selection respects.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    dict[str, str]
        An input of the stage: the last change of the table ``overrides``.
    """
    return {s.OVERRIDES: last_change(job.spark, job.root, s.OVERRIDES) or _NO_OVERRIDES}


def _erased_input(embed: StageRecord) -> dict[str, str]:
    """How many rows were erased, from quarantine too. They change the counts of a selection, even
    where its tables stay the same.
    """
    return {ERASED: str(embed.counts[ERASED])} if embed.counts.get(ERASED) else {}


def _agreement_input(*, asked: bool) -> dict[str, str]:
    """How values that must agree are compared. Earlier releases compared their JSON texts; a
    selection made so must not be reused.
    """
    return {"agreement": "as SQL compares"} if asked else {}
