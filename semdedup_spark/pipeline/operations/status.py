"""What the ledger says: what ran, what is there, and who works on the output now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job import JobSummary
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.leases import Claim, read_claims
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import masked_repr

_RUNS_SHOWN = 10


@dataclass(frozen=True)
class RunLine:
    """One run.

    Attributes
    ----------
    run_id
        Name of the run.
    started_at
        When its first stage began, UTC.
    seconds
        Seconds of its stages in all.
    computed
        Stages that were computed.
    reused
        Stages that were reused.
    failed
        What the run failed of; ``None`` where it did not, or where a later try of it did more.
    """

    run_id: str
    started_at: datetime
    seconds: float
    computed: tuple[str, ...]
    reused: tuple[str, ...]
    failed: str | None


@masked_repr
@dataclass(frozen=True)
class Status:
    """The state of an output.

    Attributes
    ----------
    output
        Where it is.
    stages
        The newest record of each stage.
    runs
        The newest runs, newest first.
    holder
        The lease of the run that works here now, if there is one.
    """

    output: str
    stages: tuple[StageRecord, ...]
    runs: tuple[RunLine, ...]
    holder: Claim | None

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, for JSON.

        Returns
        -------
        dict[str, Any]
            The output, the run that works on it, the stages and the runs.
        """
        return {
            "output": self.output,
            "working": None if self.holder is None else self.holder.run_id,
            "stages": [stage_dict(record) for record in self.stages],
            "runs": [
                {
                    "run_id": run.run_id,
                    "started_at": run.started_at.isoformat(),
                    "seconds": round(run.seconds, 3),
                    "computed": list(run.computed),
                    "reused": list(run.reused),
                    "failed": run.failed,
                }
                for run in self.runs
            ],
        }


def summary_dict(job: Job, summary: JobSummary) -> dict[str, Any]:
    """Describe a finished run by plain values, for JSON and schedulers.

    Parameters
    ----------
    job
        The job.
    summary
        What it did.

    Returns
    -------
    dict[str, Any]
        Counts, seconds, stages and software.
    """
    return {
        "ok": True,
        "run_id": job.run_id,
        "output": job.root.location,
        "read": summary.read,
        "kept": summary.kept,
        "removed": summary.removed,
        "quarantined": summary.quarantined,
        "eps": summary.eps,
        "seconds": round(sum(record.seconds for record in summary.records), 3),
        "stages": [stage_dict(record) for record in summary.records],
        "stale": list(summary.stale),
        "software": summary.records[-1].software,
    }


def stage_dict(record: StageRecord) -> dict[str, Any]:
    """Convert a stage's record to plain values, for JSON.

    Parameters
    ----------
    record
        The record.

    Returns
    -------
    dict[str, Any]
        What people and schedulers ask for; settings are left out.
    """
    return {
        "stage": record.stage,
        "run_id": record.run_id,
        "started_at": record.started_at.isoformat(),
        "seconds": round(record.seconds, 3),
        "reused": record.reused,
        "why": record.why,
        "counts": record.counts,
        "metrics": record.metrics,
        "outputs": record.outputs,
    }


def read_status(job: Job) -> Status:
    """Read the ledger and the leases. Nothing is recorded.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    Status
        What they say.
    """
    if not table_exists(job.spark, job.root, s.RUNS):
        return Status(job.root.location, (), (), _holder(job))
    ledger = read_table(job.spark, job.root, s.RUNS)
    newest = sorted(job.ledger.records(), key=lambda record: record.started_at)
    runs = (
        ledger.groupBy("run_id")
        .agg(
            F.min("started_at").alias("started_at"),
            F.max("started_at").alias("newest"),
            F.sum("seconds").alias("seconds"),
            F.collect_list(F.struct("started_at", s.STAGE, "reused", "why")).alias("stages"),
        )
        .orderBy(F.desc("newest"))
        .limit(_RUNS_SHOWN)
    )
    return Status(
        job.root.location, tuple(newest), tuple(map(_run_line, runs.collect())), _holder(job)
    )


def _run_line(row: Any) -> RunLine:
    rows = sorted(row["stages"])
    stages = [each for each in rows if each[s.STAGE] != s.FAILED]
    return RunLine(
        row["run_id"],
        row["started_at"].astimezone(timezone.utc),
        row["seconds"],
        tuple(each[s.STAGE] for each in stages if not each["reused"]),
        tuple(each[s.STAGE] for each in stages if each["reused"]),
        rows[-1]["why"] if rows[-1][s.STAGE] == s.FAILED else None,
    )


def _holder(job: Job) -> Claim | None:
    now = datetime.now(timezone.utc)
    alive = (claim for claim in read_claims(job.spark, job.root) if claim.is_alive(now))
    return next(alive, None)
