"""What else was made of a job's rows, kept in step with them: named selections, and a pruning."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from semdedup_spark import schema as s
from semdedup_spark.config import JobConfig
from semdedup_spark.errors import ConfigError, GuardError, HorizonError, SourceError
from semdedup_spark.pipeline.prune import pruning_inputs, run_prune
from semdedup_spark.pipeline.select import check_select_columns, erased_input, run_select
from semdedup_spark.pipeline.stages import Job
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.runs import StageRecord

# What was configured once and does not fit the job, its rows or its guards any more.
CANNOT = (ConfigError, GuardError, HorizonError, SourceError)


@dataclass(frozen=True)
class Basis:
    """The stages that selections and a pruning are made of; ``score`` where rows were scored."""

    embed: StageRecord
    cluster: StageRecord
    score: StageRecord | None


@dataclass(frozen=True)
class Refreshed:
    """``records``: what was made again; ``stale``: tables, as SQL names them, of what can no longer
    be made with its settings: they are as they were, with rows that may be gone.
    """

    records: tuple[StageRecord, ...]
    stale: tuple[str, ...]


def refresh_others(job: Job, basis: Basis, *, guarded: bool = True) -> Refreshed:
    """Make again, with the settings that the ledger has, the selections of other names and the
    pruning, where they were made of other rows; not those of whose tables somebody dropped one.
    """
    own = s.selection_stage(job.config.select.name)
    done: list[StageRecord] = []
    stale: list[str] = []
    for other in job.ledger.records():
        there = all(table_exists(job.spark, job.root, table) for table in other.outputs)
        if other.stage == own or not there:
            continue
        try:
            done += _made_again(job, other, basis, guarded)
        except CANNOT:
            stale += map(job.root.name, other.outputs)
    return Refreshed(tuple(done), tuple(stale))


def _made_again(job: Job, other: StageRecord, basis: Basis, guarded: bool) -> list[StageRecord]:
    settings = json.loads(other.config)
    if other.stage.partition(":")[0] == s.selection_stage(None):
        if basis.score is None:
            return []
        inputs = {s.SCORES: basis.score.result_key, **erased_input(basis.embed)}
        if inputs.items() <= other.inputs.items():
            return []
        chosen = _with(job, select=settings)
        check_select_columns(chosen, read_table(job.spark, job.root, s.EMBEDDINGS))
        return [select_again(chosen, basis.embed, basis.score, guarded=guarded)]
    if other.stage == "prune":
        if other.inputs == pruning_inputs(job, basis.embed, basis.cluster):
            return []
        return [run_prune(_with(job, prune=settings), basis.embed, basis.cluster)]
    return []


def select_again(job: Job, embed: StageRecord, score: StageRecord, *, guarded: bool) -> StageRecord:
    """The job's own selection; if not ``guarded``, also where a guard would stop it."""
    try:
        return run_select(job, embed, score)
    except GuardError:
        if guarded:
            raise
        unguarded: dict[str, Any] = {"max_removed_fraction": None, "max_removed_fraction_by": {}}
        select = job.config.select.model_copy(update=unguarded)
        free = replace(job, config=job.config.model_copy(update={"select": select}))
        return run_select(free, embed, score)


def _with(job: Job, **stages: Any) -> Job:
    """Raises :class:`ConfigError` where the stages do not fit the rest of the job."""
    try:
        config = JobConfig.model_validate({**job.config.model_dump(), **stages})
    except ValueError as error:
        raise ConfigError(f"an earlier command's settings must fit the job. {error}") from error
    return replace(job, config=config)
