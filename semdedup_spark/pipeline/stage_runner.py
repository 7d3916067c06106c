"""Compute a stage or reuse what an earlier run left, and write down which and why."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from semdedup_spark import __version__
from semdedup_spark import schema as s
from semdedup_spark.config import canonical_json, fingerprint
from semdedup_spark.errors import StageOrderError
from semdedup_spark.masking import MASK
from semdedup_spark.pipeline.identity import kept_config, kept_settings, key_beside
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.runs import StageRecord, config_difference
from semdedup_spark.tables.states import TableState

# Inputs that another stage makes.
_MAKERS = {
    s.EMBEDDINGS: "embed",
    s.REFERENCE: "reference",
    s.CENTROIDS: "cluster",
    s.SCORES: "score",
}
_LISTED_SOFTWARE = ("pyspark", "delta-spark", "numpy", "pyarrow", "torch", "transformers", "pillow")


@dataclass(frozen=True)
class StageResult:
    """What a computed stage leaves: table versions, counts and measures."""

    outputs: dict[str, int]
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def run_stage(
    job: Job,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    compute: Callable[[str], StageResult],
) -> StageRecord:
    """Reuse the stage's last output if it is still valid, else ``compute(result_key)``."""
    job.begin()
    started, clock = datetime.now(timezone.utc), time.monotonic()
    last = job.ledger.last(stage)
    key = key_beside(last, settings, inputs)
    shown = kept_settings(settings)
    why, versions = _still_valid(job, last, key, shown, inputs)
    if last is not None and versions is not None:
        record = replace(
            last,
            run_id=job.run_id,
            started_at=started,
            seconds=time.monotonic() - clock,
            reused=True,
            why=why,
            config=kept_config(last.config),
            outputs=versions,
        )
    else:
        job.listener.started(stage, why)
        result = StageResult({}) if job.dry_run else compute(key)
        record = StageRecord(
            run_id=job.run_id,
            stage=stage,
            started_at=started,
            seconds=time.monotonic() - clock,
            reused=False,
            why=why,
            config=canonical_json(shown),
            config_hash=fingerprint(shown),
            result_key=key,
            inputs=dict(inputs),
            outputs=result.outputs,
            counts=result.counts,
            metrics=result.metrics,
            software=software_versions(),
        )
    if not job.dry_run:
        job.ledger.add(record)
        job.listener.finished(record)
    return record


def require_stage(job: Job, stage: str, settings: Mapping[str, Any]) -> StageRecord:
    """The record of a stage that must have run before. Raises :class:`StageOrderError` where it has
    not, was configured otherwise, worked on what has been made anew since, or its tables were
    changed by another hand.
    """
    job.begin()
    last = job.ledger.last(stage)
    if last is None:
        raise StageOrderError(
            f"stage {stage} must have run in {job.root.location}. The ledger does not know it.",
            hint=f"run `semdedup {stage}` first, or `semdedup run` for the whole job.",
        )
    shown = canonical_json(kept_settings(settings))
    difference = config_difference(kept_config(last.config), shown)
    if difference:
        raise StageOrderError(
            f"the output of stage {stage} must be made with this configuration. "
            f"It was made with another: {', '.join(difference)}.",
            hint=f"run `semdedup {stage}` again, or `semdedup run`.",
        )
    for name, made_from in last.inputs.items():
        maker = job.ledger.last(_MAKERS.get(name, ""))
        if maker is not None and identity_of(job, maker, name) != made_from:
            raise StageOrderError(
                f"the output of stage {stage} must be made from the newest {name}. Stage "
                f"{maker.stage} has run again since.",
                hint=f"run `semdedup {stage}` again, or `semdedup run`.",
            )
    changed, versions = _output_versions(job, last)
    if versions is None:
        raise StageOrderError(
            f"the table {changed} must be as stage {stage} left it. It was changed or removed.",
            hint=f"run `semdedup {stage}` again, or `semdedup run`.",
        )
    return replace(last, outputs=versions)


def identity_of(job: Job, record: StageRecord, table: str) -> str:
    """What tells the table that a stage made from every other one, as later stages note it among
    their inputs: the rows themselves where the table's mark has their identity, else the result.
    """
    state = job.state(table) if table == s.CENTROIDS else None
    if state is not None and state.mark.content and _is_of(record, table, state):
        return state.mark.content
    return record.result_key


def _still_valid(
    job: Job,
    last: StageRecord | None,
    key: str,
    shown: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> tuple[str, dict[str, int] | None]:
    """(why, versions of the output tables if they may be reused). ``shown``: masked settings."""
    if last is None:
        return "it has not run here before", None
    if last.result_key != key:
        config = canonical_json(shown)
        reasons = config_difference(kept_config(last.config), config)
        changed = [name for name, value in inputs.items() if last.inputs.get(name) != value]
        reasons += [f"its input {name} changed" for name in changed]
        hidden = "a setting that is not shown changed, or " if MASK in config else ""
        return "; ".join(reasons) or f"{hidden}this version computes it otherwise", None
    table, versions = _output_versions(job, last)
    if versions is None:
        return f"the table {table} was changed or removed since", None
    return "nothing that it depends on has changed", versions


def has_output(job: Job, record: StageRecord) -> bool:
    """Whether the stage's tables are as it left them."""
    return _output_versions(job, record)[1] is not None


def _output_versions(job: Job, record: StageRecord) -> tuple[str, dict[str, int] | None]:
    """Newest versions of a stage's tables, or the name of one that no longer holds its result.

    The newest commit that changed rows must carry the result's mark. Version numbers would not do:
    they start again when a table is removed and made anew.
    """
    versions = {}
    for table in record.outputs:
        state = job.state(table)
        if state is None or not _is_of(record, table, state):
            return table, None
        if not state.mark.progress.is_complete:
            return table, None
        versions[table] = state.version
    return "", versions


def _is_of(record: StageRecord, table: str, state: TableState) -> bool:
    if table == s.CENTROIDS and state.mark.stage == "score":
        # Release 0.1 wrote the statistics of clusters, once scored, beside the centroids, which
        # stayed those of the result ``origin``.
        return record.stage == "cluster" and state.mark.rows.origin == record.result_key
    return state.holds(record.stage, record.result_key)


def software_versions() -> dict[str, str]:
    """Names and versions of what decides the numbers."""
    found = {"semdedup_spark": __version__, "python": platform.python_version()}
    for package in _LISTED_SOFTWARE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
