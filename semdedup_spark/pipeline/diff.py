"""Two runs of one output, compared row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.stages import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.difference import differences, fates


@dataclass(frozen=True)
class Change:
    """``n_rows`` rows that were ``before`` and are ``after`` (kept, removed or absent); ``why``:
    see :func:`differences`; ``sample``: at most five of their ids, as text.
    """

    before: str
    after: str
    why: str
    n_rows: int
    sample: tuple[str, ...]


def diff_runs(job: Job, run_a: str, run_b: str) -> list[Change]:
    """Rows that the job's selection kept in one run and not in the other. Needs the tables'
    versions of both runs, so runs from before the last VACUUM's retention cannot be compared.
    """
    before, after = _fates(job, run_a), _fates(job, run_b)
    neighbors = None
    if job.config.reference is not None:
        neighbors = _reference(job, run_a), _reference(job, run_b)
    try:
        rows = differences(before, after, neighbors).collect()  # a row a kind of change
    except PySparkException as error:
        raise StageOrderError(
            f"the files of both runs must still be there. Spark says: {str(error)[:300]}",
            hint="VACUUM has removed them if they were older than its retention.",
        ) from error
    return [Change(r[0], r[1], r[2], r[3], tuple(r[4])) for r in rows]


def _fates(job: Job, run_id: str) -> DataFrame:
    name = job.config.select.name
    scores = _outputs(job, run_id, "score")
    selected = _outputs(job, run_id, s.selection_stage(name))
    table = s.of_selection(s.DUPLICATES, name)
    return fates(
        read_table(job.spark, job.root, s.SCORES, scores[s.SCORES]),
        read_table(job.spark, job.root, table, selected[table]),
    )


def _reference(job: Job, run_id: str) -> DataFrame:
    version = _outputs(job, run_id, "reference")[s.REFERENCE]
    return read_table(job.spark, job.root, s.REFERENCE, version)


def _outputs(job: Job, run_id: str, stage: str) -> Mapping[str, int]:
    ledger = read_table(job.spark, job.root, s.RUNS)
    of_stage = ledger.filter(F.col(s.STAGE) == stage)
    of_run = of_stage.filter(F.col("run_id") == run_id)
    row = of_run.orderBy(F.desc("started_at")).select("outputs").first()
    if row is None:
        newest = of_stage.orderBy(F.desc("started_at")).select("run_id").limit(5).collect()
        raise StageOrderError(
            f"run {run_id!r} must have a stage {stage} in the ledger. It has not; the newest that "
            f"have: {', '.join(r[0] for r in newest) or 'none'}.",
            hint="`semdedup status` lists the runs.",
        )
    outputs: Mapping[str, int] = row["outputs"]
    return outputs
