"""Check that scores were made with the reference that the job file names now."""

from __future__ import annotations

from semdedup_spark import schema as s
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import require_stage
from semdedup_spark.pipeline.stages.embed.embed import reference_settings


def check_reference(job: Job) -> None:
    """Check that the scores were made with the job's reference, or without one if the job has none.
    Otherwise the ids of their neighbors would be taken for ids of other rows.

    Parameters
    ----------
    job
        The job.

    Raises
    ------
    StageOrderError
        The scores were made otherwise, or the reference was embedded again since.
    """
    score = job.ledger.last("score")
    if score is None:
        return
    was, wanted = s.REFERENCE in score.inputs, job.config.reference is not None
    if was != wanted:
        words = {True: "with a reference", False: "without a reference"}
        raise StageOrderError(
            f"scores must be made {words[wanted]}, as the job says. They were made {words[was]}.",
            hint="run `semdedup run`; or give the two jobs outputs of their own.",
        )
    if wanted:
        reference = require_stage(job, "reference", reference_settings(job.config))
        if score.inputs[s.REFERENCE] != reference.result_key:
            raise StageOrderError(
                "scores must be made with the rows that the reference has now. The reference was "
                "embedded again since.",
                hint="run `semdedup score` again, or `semdedup run`.",
            )
