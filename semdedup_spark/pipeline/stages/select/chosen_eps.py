"""The threshold of a selection: as it is set, or as the wanted share of kept rows needs it."""

from __future__ import annotations

from pyspark.sql import DataFrame

from semdedup_spark.errors import HorizonError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.transforms.select.threshold import eps_for_kept


def chosen_eps(job: Job, scores: DataFrame) -> float:
    """Choose the threshold.

    Parameters
    ----------
    job
        The job.
    scores
        The table of this name.

    Returns
    -------
    float
        ``select.eps``, or the smallest eps that keeps the share ``select.keep``.

    Raises
    ------
    HorizonError
        ``select.keep`` needs an eps beyond ``score.eps_max``.
    """
    select, horizon = job.config.select, job.config.score.eps_max
    if select.eps is not None:
        return select.eps
    row = eps_for_kept(scores, select.keep or 1.0, horizon).first()
    eps = float(row["eps"]) if row is not None and row["eps"] is not None else 1.0
    if eps > horizon:
        known = eps < 1.0  # scores beyond the horizon may not have been stored
        needs = f"eps {eps:.6g}" if known else "a larger one"
        raise HorizonError(
            f"select.keep must be reached at an eps of at most score.eps_max = {horizon}. "
            f"Got {select.keep}, which needs {needs}.",
            hint=f"set score.eps_max above {eps if known else horizon:.6g} and run again, or keep "
            "more rows.",
        )
    return eps
