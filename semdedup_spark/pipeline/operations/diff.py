"""Two runs of one output, compared row by row."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from semdedup_spark import schema as s
from semdedup_spark.causes import Kind
from semdedup_spark.errors import StageOrderError
from semdedup_spark.failures import explained
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.queries.run_diff import differences, fates


@dataclass(frozen=True)
class Change:
    """Rows whose fate differs in the same way between two runs.

    Attributes
    ----------
    before
        ``kept``, ``removed`` or ``absent``.
    after
        ``kept``, ``removed`` or ``absent``.
    why
        The reason, see :func:`differences`.
    n_rows
        Number of such rows.
    sample
        At most five of their ids, as text.
    """

    before: str
    after: str
    why: str
    n_rows: int
    sample: tuple[str, ...]


def diff_runs(job: Job, run_a: str, run_b: str) -> list[Change]:
    """Compare the job's selection in two runs. Needs the tables' versions of both, so runs from
    before the last VACUUM's retention cannot be compared.

    Parameters
    ----------
    job
        The job.
    run_a
        Name of a run.
    run_b
        Name of another run.

    Returns
    -------
    list[Change]
        Rows that one run kept and the other did not, by reason.

    Raises
    ------
    PySparkException
        Spark failed for another reason than a lost version.
    StageOrderError
        The ledger does not know one of the runs, files or versions of one are gone, or their ids
        are of different types.
    """
    a, b = _selection(job, run_a), _selection(job, run_b)
    before, after = _fates(job, a), _fates(job, b)
    ids = [rows.schema[s.ID].dataType for rows in (before, after)]
    if ids[0] != ids[1] and not all(isinstance(kind, IntegralType) for kind in ids):
        raise StageOrderError(
            f"both runs must have ids of one type. Got {ids[0].simpleString()} in {run_a!r} and "
            f"{ids[1].simpleString()} in {run_b!r}.",
            hint="no row of one is known to be a row of the other: compare later runs.",
        )
    neighbors = None
    if job.config.reference is not None:
        neighbors = _reference(job, a), _reference(job, b)
    try:
        rows = differences(before, after, neighbors).collect()  # one row for each kind of change
    except PySparkException as error:
        failure = explained(error)
        if failure is None or failure.kind not in (Kind.FILES, Kind.VERSION):
            raise
        raise StageOrderError(
            f"the files of both runs must still be there. Spark says: {failure.cause}",
            hint="VACUUM has removed them if they were older than its retention.",
        ) from error
    return [Change(r[0], r[1], r[2], r[3], tuple(r[4])) for r in rows]


def _fates(job: Job, selection: Row) -> DataFrame:
    scores = _maker(job, "score", selection, s.SCORES)["outputs"][s.SCORES]
    name, outputs = job.config.select.name, selection["outputs"]
    table, saved = (s.of_selection(t, name) for t in (s.DUPLICATES, s.PROTECTED))
    return fates(
        read_table(job.spark, job.root, s.SCORES, scores),
        read_table(job.spark, job.root, table, outputs[table]),
        _overrides(job, selection["inputs"].get(s.OVERRIDES, "")),
        read_table(job.spark, job.root, saved, outputs[saved]) if saved in outputs else None,
    )


def _overrides(job: Job, said: str) -> DataFrame | None:
    """The overrides that a selection was made with. ``said``: its input, ``version 3 of ...``."""
    version = re.match(r"version (\d+) of", said)
    if version is None:
        return None
    try:
        return read_table(job.spark, job.root, s.OVERRIDES, int(version[1]))
    except StageOrderError:  # VACUUM or the log removed the version; overrides are not named then
        return None


def _reference(job: Job, selection: Row) -> DataFrame:
    score = _maker(job, "score", selection, s.SCORES)
    reference = _maker(job, "reference", score, s.REFERENCE)
    return read_table(job.spark, job.root, s.REFERENCE, reference["outputs"][s.REFERENCE])


def _selection(job: Job, run_id: str) -> Row:
    """The ledger's row of the job's selection in the run."""
    stage = s.selection_stage(job.config.select.name)
    of_stage = read_table(job.spark, job.root, s.RUNS).filter(F.col(s.STAGE) == stage)
    of_run = of_stage.filter(F.col("run_id") == run_id)
    row = of_run.orderBy(F.desc("started_at")).first()
    if row is None:
        newest = of_stage.orderBy(F.desc("started_at")).select("run_id").limit(5).collect()
        raise StageOrderError(
            f"run {run_id!r} must have a stage {stage} in the ledger. It has not; the newest that "
            f"have: {', '.join(r[0] for r in newest) or 'none'}.",
            hint="`semdedup status` lists the runs.",
        )
    return row


def _maker(job: Job, stage: str, user: Row, table: str) -> Row:
    """The ledger's row of the stage, in any run, that made the ``table`` which ``user`` read."""
    made = F.col("result_key") == user["inputs"].get(table, "")
    rows = read_table(job.spark, job.root, s.RUNS).filter((F.col(s.STAGE) == stage) & made)
    earlier = rows.filter(F.col("started_at") <= F.lit(user["started_at"]))
    row = earlier.orderBy(F.desc("started_at")).first()
    if row is None:
        raise StageOrderError(
            f"the ledger must still have the stage {stage} that made the {table} of run "
            f"{user['run_id']!r}. It has not.",
            hint="`semdedup maintain` forgets old runs, see --ledger-days.",
        )
    return row
