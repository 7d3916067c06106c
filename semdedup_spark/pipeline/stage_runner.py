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
from semdedup_spark.config.differences import config_difference
from semdedup_spark.errors import StageOrderError
from semdedup_spark.masking import MASK
from semdedup_spark.pipeline.identity import kept_config, kept_settings, key_beside
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.states import TableState

# The stages that make the inputs of others.
_MAKERS = {
    s.EMBEDDINGS: "embed",
    s.REFERENCE: "reference",
    s.CENTROIDS: "cluster",
    s.SCORES: "score",
}
# Commands of stages that have another name.
_COMMANDS = {"reference": "embed"}
_LISTED_SOFTWARE = ("pyspark", "delta-spark", "numpy", "pyarrow", "torch", "transformers", "pillow")


@dataclass(frozen=True)
class StageResult:
    """What a computed stage leaves.

    Attributes
    ----------
    outputs
        Versions of the tables that it wrote, by table.
    counts
        Numbers of rows, by what they count.
    metrics
        Measured numbers, by name.
    """

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
    """Reuse the stage's last output if it is still valid, else compute it.

    Parameters
    ----------
    job
        The job.
    stage
        Name of the stage.
    settings
        The settings that decide its result.
    inputs
        Identity of each input, by name.
    compute
        Makes the result; called with its key.

    Returns
    -------
    StageRecord
        What was done; it is in the ledger, unless the job is a dry run.
    """
    job.begin()
    if job.turn is not None:
        job.turn.began_stage = True
    started, clock = datetime.now(timezone.utc), time.monotonic()
    last = job.ledger.last(stage)
    key = key_beside(last, settings, inputs)
    shown = kept_settings(settings)
    why, states = _still_valid(job, last, key, shown, inputs)
    if last is not None and states is not None:
        record = replace(last, reused=True, config=kept_config(last.config))
        record = replace(record, outputs=_versions(states), marks=_marks(states))
    else:
        if not job.dry_run:
            job.listener.started(stage, why)
        made = StageResult({}) if job.dry_run else compute(key)
        record = StageRecord(
            run_id=job.run_id,
            stage=stage,
            started_at=started,
            seconds=0.0,
            reused=False,
            why=why,
            config=canonical_json(shown),
            config_hash=fingerprint(shown),
            result_key=key,
            inputs=dict(inputs),
            outputs=made.outputs,
            counts=made.counts,
            metrics=made.metrics,
            software=software_versions(),
            marks=_marks({table: job.state(table) for table in made.outputs}),
        )
    seconds = time.monotonic() - clock
    record = replace(record, run_id=job.run_id, started_at=started, seconds=seconds, why=why)
    if not job.dry_run:
        job.ledger.add(record)
        job.listener.finished(record)
    return record


def require_stage(job: Job, stage: str, settings: Mapping[str, Any]) -> StageRecord:
    """Look up a stage that must have run before.

    Parameters
    ----------
    job
        The job.
    stage
        Name of the stage.
    settings
        The settings that it must have run with.

    Returns
    -------
    StageRecord
        Its newest record, with the versions that its tables have now.

    Raises
    ------
    StageOrderError
        It has not run, ran with other settings, worked on inputs that have been made anew since,
        or another program changed its tables.
    """
    job.begin()
    last = job.ledger.last(stage)
    command = _COMMANDS.get(stage, stage)
    if last is None:
        raise StageOrderError(
            f"stage {stage} must have run in {job.root.location}. The ledger does not know it.",
            hint=f"run `semdedup {command}` first, or `semdedup run` for the whole job.",
        )
    shown = canonical_json(kept_settings(settings))
    difference = config_difference(kept_config(last.config), shown)
    if difference:
        raise StageOrderError(
            f"the output of stage {stage} must be made with this configuration. "
            f"It was made with another: {', '.join(difference)}.",
            hint=f"run `semdedup {command}` again, or `semdedup run`.",
        )
    for name, made_from in last.inputs.items():
        maker = job.ledger.last(_MAKERS.get(name, ""))
        if maker is not None and identity_of(job, maker, name) != made_from:
            raise StageOrderError(
                f"the output of stage {stage} must be made from the newest {name}. Stage "
                f"{maker.stage} has run again since.",
                hint=f"run `semdedup {command}` again, or `semdedup run`.",
            )
    changed, states = _output_states(job, last)
    if states is None:
        raise StageOrderError(
            f"the table {changed} must be as stage {stage} left it. It was changed or removed.",
            hint=f"run `semdedup {command}` again, or `semdedup run`.",
        )
    return replace(last, outputs=_versions(states))


def identity_of(job: Job, record: StageRecord, table: str) -> str:
    """Tell a table that a stage made from every other one, as later stages note it among their
    inputs.

    Parameters
    ----------
    job
        The job.
    record
        Record of the stage.
    table
        One of its tables.

    Returns
    -------
    str
        The identity of the rows themselves where the table's mark has it, else the key of the
        result.
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
) -> tuple[str, dict[str, TableState] | None]:
    """(why, states of the output tables if they may be reused). ``shown``: masked settings."""
    if last is None:
        return "it has not run here before", None
    if last.result_key != key:
        config = canonical_json(shown)
        reasons = config_difference(kept_config(last.config), config)
        changed = [name for name, value in inputs.items() if last.inputs.get(name) != value]
        reasons += [f"its input {name} changed" for name in changed]
        hidden = "a setting that is not shown changed, or " if MASK in config else ""
        return "; ".join(reasons) or f"{hidden}this version computes it otherwise", None
    table, states = _output_states(job, last)
    if states is None:
        return f"the table {table} was changed or removed since", None
    return "nothing that it depends on has changed", states


def has_output(job: Job, record: StageRecord) -> bool:
    """Tell whether the stage's tables are as it left them.

    Parameters
    ----------
    job
        The job.
    record
        Record of the stage.

    Returns
    -------
    bool
        False where a table was changed or removed.
    """
    return _output_states(job, record)[1] is not None


def _output_states(job: Job, record: StageRecord) -> tuple[str, dict[str, TableState] | None]:
    """States of a stage's tables, or the name of one that no longer holds its result.

    The newest commit that changed rows must carry the result's mark. Version numbers would not do:
    they start again when a table is removed and made anew.
    """
    states = {}
    for table in record.outputs:
        state = job.state(table)
        if state is None or not _is_of(record, table, state):
            return table, None
        if not state.mark.progress.is_complete:
            return table, None
        states[table] = state
    return "", states


def _versions(states: Mapping[str, TableState]) -> dict[str, int]:
    return {table: state.version for table, state in states.items()}


def _marks(states: Mapping[str, TableState | None]) -> dict[str, str]:
    return {table: state.mark.text() for table, state in states.items() if state is not None}


def _is_of(record: StageRecord, table: str, state: TableState) -> bool:
    if table == s.CENTROIDS and state.mark.stage == "score":
        # In release 0.1 the stage score wrote statistics beside the centroids. The centroids
        # stayed those of the result ``origin``.
        return record.stage == "cluster" and state.mark.rows.origin == record.result_key
    return state.holds(record.stage, record.result_key)


def software_versions() -> dict[str, str]:
    """Look up the versions of the software that decides the numbers.

    Returns
    -------
    dict[str, str]
        Versions by name of the software.
    """
    found = {"semdedup_spark": __version__, "python": platform.python_version()}
    for package in _LISTED_SOFTWARE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
