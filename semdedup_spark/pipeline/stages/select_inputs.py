"""What a selection depends on besides its settings and the scores."""

from __future__ import annotations

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.embed import ERASED
from semdedup_spark.tables.catalog import last_change
from semdedup_spark.tables.runs import StageRecord

_NO_OVERRIDES = "none"


def agreement_input(*, asked: bool) -> dict[str, str]:
    """Return how values that must agree are compared. Earlier releases compared their JSON texts; a
    selection made so must not be reused.

    Parameters
    ----------
    asked
        Whether the selection asks for an agreement.

    Returns
    -------
    dict[str, str]
        An input of the stage; empty where nothing must agree.
    """
    return {"agreement": "as SQL compares"} if asked else {}


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


def erased_input(embed: StageRecord) -> dict[str, str]:
    """Return how many rows were erased, from quarantine too. They change the counts of a selection,
    even where its tables stay the same.

    Parameters
    ----------
    embed
        Record of the stage embed.

    Returns
    -------
    dict[str, str]
        An input of the stage; empty where nothing was erased.
    """
    return {ERASED: str(embed.counts[ERASED])} if embed.counts.get(ERASED) else {}
