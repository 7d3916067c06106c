"""Compute a stage or reuse what an earlier run left, and write down which and why."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pyspark.sql import SparkSession

from semdedup_spark import __version__
from semdedup_spark.config import JobConfig, canonical_json, fingerprint
from semdedup_spark.errors import ConfigError, StageOrderError
from semdedup_spark.tables.catalog import OutputRoot, table_version
from semdedup_spark.tables.runs import (
    StageRecord,
    config_difference,
    first_changed_output,
    last_record,
    run_id_exists,
    write_record,
)

# Part of every result's identity: raised when a stage starts to compute something else.
_FORMAT = 1
_LISTED_SOFTWARE = ("pyspark", "delta-spark", "numpy", "pyarrow", "torch", "transformers", "pillow")


@dataclass(frozen=True)
class Progress:
    """How far a stage is: ``rows`` of ``total`` done, in ``seconds`` since it began here."""

    stage: str
    rows: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Listener:
    """What the caller wants to hear; by default nothing."""

    progress: Callable[[Progress], None] = lambda _: None
    started: Callable[[str, str], None] = lambda stage, why: None
    finished: Callable[[StageRecord], None] = lambda _: None


@dataclass(frozen=True)
class Job:
    """One invocation: where it runs, what it was asked for, and its id."""

    spark: SparkSession
    config: JobConfig
    root: OutputRoot
    run_id: str
    listener: Listener = field(default_factory=Listener)


@dataclass(frozen=True)
class StageResult:
    """What a computed stage leaves: table versions, counts and measures."""

    outputs: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def open_job(
    spark: SparkSession,
    config: JobConfig,
    *,
    run_id: str | None = None,
    listener: Listener | None = None,
) -> Job:
    """A job on this session. ``run_id``: must be new to the ledger; made from the time if not given."""
    root = OutputRoot.parse(config.output)
    now = datetime.now(timezone.utc)
    if run_id is not None and run_id_exists(spark, root, run_id):
        raise ConfigError(
            f"--run-id must be new to {root.location}. Got {run_id!r}, which the ledger holds.",
            hint="leave it out: the same command continues and reuses by itself.",
        )
    chosen = run_id or now.strftime("%Y%m%dT%H%M%S.%fZ")
    return Job(spark, config, root, chosen, listener or Listener())


def result_key(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of a stage's output: equal settings and inputs give equal output."""
    return fingerprint({"format": _FORMAT, "settings": settings, "inputs": inputs})


def run_stage(
    job: Job,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    compute: Callable[[str], StageResult],
) -> StageRecord:
    """Reuse the stage's last output if it is still valid, else ``compute(result_key)``; record it."""
    started, clock = datetime.now(timezone.utc), time.monotonic()
    config, key = canonical_json(settings), result_key(settings, inputs)
    last = last_record(job.spark, job.root, stage)
    why = _why_not_reuse(job, last, key, config, inputs)
    if last is not None and why is None:
        record = replace(
            last,
            run_id=job.run_id,
            started_at=started,
            seconds=time.monotonic() - clock,
            reused=True,
            why="nothing that it depends on has changed",
            # A later stage or maintenance may have made newer versions of the same rows.
            outputs={
                table: table_version(job.spark, job.root, table) or written
                for table, written in last.outputs.items()
            },
        )
    else:
        job.listener.started(stage, why or "")
        result = compute(key)
        record = StageRecord(
            run_id=job.run_id,
            stage=stage,
            started_at=started,
            seconds=time.monotonic() - clock,
            reused=False,
            why=why or "",
            config=config,
            config_hash=fingerprint(settings),
            result_key=key,
            inputs=dict(inputs),
            outputs=result.outputs,
            counts=result.counts,
            metrics=result.metrics,
            software=software_versions(),
        )
    write_record(job.spark, job.root, record)
    job.listener.finished(record)
    return record


def require_stage(job: Job, stage: str, settings: Mapping[str, Any]) -> StageRecord:
    """The record of a stage that must have run before. Raises :class:`StageOrderError` where it has
    not, was configured otherwise, or its tables were changed by another hand."""
    last = last_record(job.spark, job.root, stage)
    if last is None:
        raise StageOrderError(
            f"stage {stage} must have run in {job.root.location}. The ledger does not know it.",
            hint=f"run `semdedup {stage}` first, or `semdedup run` for the whole job.",
        )
    difference = config_difference(last.config, canonical_json(settings))
    if difference:
        raise StageOrderError(
            f"the output of stage {stage} must be made with this configuration. "
            f"It was made with another: {', '.join(difference)}.",
            hint=f"run `semdedup {stage}` again, or `semdedup run`.",
        )
    changed = first_changed_output(job.spark, job.root, last)
    if changed:
        raise StageOrderError(
            f"the table {changed} must be as stage {stage} left it. It was changed or removed.",
            hint=f"run `semdedup {stage}` again, or `semdedup run`.",
        )
    return last


def _why_not_reuse(
    job: Job, last: StageRecord | None, key: str, config: str, inputs: Mapping[str, str]
) -> str | None:
    if last is None:
        return "it has not run here before"
    if last.result_key != key:
        reasons = config_difference(last.config, config)
        for name, value in inputs.items():
            if last.inputs.get(name) != value:
                reasons.append(f"its input {name} changed")
        return "; ".join(reasons) or "this version of semdedup_spark computes it otherwise"
    changed = first_changed_output(job.spark, job.root, last)
    return f"the table {changed} was changed or removed since" if changed else None


def software_versions() -> dict[str, str]:
    """Names and versions of what decides the numbers."""
    found = {"semdedup_spark": __version__, "python": platform.python_version()}
    for package in _LISTED_SOFTWARE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
