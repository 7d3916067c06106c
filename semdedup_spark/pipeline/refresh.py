"""What else was made of a job's rows, kept up to date: named selections, and a pruning."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from semdedup_spark import schema as s
from semdedup_spark.config import later_defaults, parse_config
from semdedup_spark.errors import (
    ConfigError,
    GuardError,
    HorizonError,
    SourceError,
    StageOrderError,
)
from semdedup_spark.masking import unmasked
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import has_output
from semdedup_spark.pipeline.stages.prune import pruning_inputs, run_prune
from semdedup_spark.pipeline.stages.select.golden import GOLDEN, read_golden
from semdedup_spark.pipeline.stages.select.select import run_select
from semdedup_spark.pipeline.stages.select.select_inputs import (
    check_select_columns,
    overrides_input,
    selection_inputs,
)
from semdedup_spark.schema import ERASED
from semdedup_spark.tables.catalog import table_exists
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import masked_repr

# Errors of earlier settings that no longer fit the job, its rows or its guards.
CANNOT = (ConfigError, GuardError, HorizonError, SourceError, StageOrderError)


@dataclass(frozen=True)
class Basis:
    """The stages that selections and a pruning are made of.

    Attributes
    ----------
    embed
        Record of the stage embed.
    cluster
        Record of the stage cluster.
    score
        Record of the stage score; ``None`` where no rows were scored.
    """

    embed: StageRecord
    cluster: StageRecord
    score: StageRecord | None


@masked_repr
@dataclass(frozen=True)
class Refreshed:
    """What became of the other selections and of the pruning.

    Attributes
    ----------
    records
        Records of what was made again.
    stale
        Tables, as SQL names them, that can no longer be made with their settings. They are as they
        were, and may have rows that are gone.
    """

    records: tuple[StageRecord, ...]
    stale: tuple[str, ...]


def as_last_made(job: Job, *stages: str) -> Job:
    """Take the settings that the output was last made with.

    Parameters
    ----------
    job
        Its configuration may say otherwise than earlier commands did.
    *stages
        Of ``cluster``, ``score`` and ``select`` those whose settings are taken. Those of ``select``
        are of the selection that the job names, or of its newest one.

    Returns
    -------
    Job
        Settings that change no result stay those of ``job``.
    """
    recorded: dict[str, Any] = {}
    for stage in stages:
        last = _last_selection(job) if stage == "select" else job.ledger.last(stage)
        if last is not None:
            asked = getattr(job.config, stage)
            now = {**asked.model_dump(), **later_defaults(asked)}
            recorded[stage] = {**now, **unmasked(json.loads(last.config), now)}
    if "score" in recorded and "select" in stages and "select" not in recorded:
        recorded["select"] = {"eps": recorded["score"]["eps_max"]}  # nothing was selected yet
    return _with(job, **recorded)


def _last_selection(job: Job) -> StageRecord | None:
    own = job.ledger.last(s.selection_stage(job.config.select.name))
    return own or next((r for r in job.ledger.records() if _is_kind(r, "select")), None)


def refresh_others(
    job: Job, basis: Basis, *, guarded: bool = True, but: str | None = None
) -> Refreshed:
    """Make selections and the pruning again that were made of other rows, scores or overrides than
    there are now, with the settings that the ledger has. Where somebody dropped one of the tables
    of a selection, what is left of it is reported as stale.

    Parameters
    ----------
    job
        The job.
    basis
        The stages as they are now.
    guarded
        Whether the guards of a selection may stop it.
    but
        The stage that is left out.

    Returns
    -------
    Refreshed
        What was made again, and what could not be.
    """
    overrides = overrides_input(job)
    done: list[StageRecord] = []
    stale: list[str] = []
    for other in job.ledger.records():
        if other.stage == but or not _is_kind(other, "select", "prune"):
            continue
        there = [table for table in other.outputs if table_exists(job.spark, job.root, table)]
        whole = len(there) == len(other.outputs)
        # A later selection of that name may have been killed between its tables.
        old = _is_old(job, other, basis, overrides) or (whole and not has_output(job, other))
        if not there or not old:
            continue
        try:
            if whole:
                done.append(_made_again(job, other, basis, guarded))
                continue
        except CANNOT:
            pass
        stale += map(job.root.name, there)
    return Refreshed(tuple(done), tuple(stale))


def _is_kind(record: StageRecord, *kinds: str) -> bool:
    """Whether it is of one of these stages; ``select:NAME`` is of ``select``."""
    return record.stage.partition(":")[0] in kinds


def _is_old(job: Job, other: StageRecord, basis: Basis, overrides: dict[str, str]) -> bool:
    """Whether it was made of other rows, scores or overrides than there are now."""
    if _is_kind(other, "select") and basis.score is not None:
        made = json.loads(other.config)
        asked, has_review = made.get("must_agree") or [], made.get("review") is not None
        cloned = made.get("write") == "clone"
        now = selection_inputs(
            basis.score, basis.embed, overrides, asked, has_review=has_review, cloned=cloned
        )
        if GOLDEN in other.inputs and made.get(GOLDEN) is not None:
            now |= _golden_input(made[GOLDEN])
        pairs = (s.NEVER_MERGE, s.ALSO_MERGE)  # they may be dropped
        gone = any(now.get(table) != other.inputs.get(table) for table in pairs)
        return gone or not now.items() <= other.inputs.items()
    if other.stage == "prune":  # it keeps its own clusters, so new ones are no reason
        now = pruning_inputs(job, basis.embed, basis.cluster)
        return any(now.get(name) != other.inputs.get(name) for name in (s.EMBEDDINGS, ERASED))
    return False


def _golden_input(path: str) -> dict[str, str]:
    try:
        return read_golden(path).as_input()
    except ConfigError:  # a file that is gone changes no selection
        return {}


def _made_again(job: Job, other: StageRecord, basis: Basis, guarded: bool) -> StageRecord:
    settings = json.loads(other.config)
    if other.stage == "prune" or basis.score is None:
        return run_prune(_with(job, prune=settings), basis.embed, basis.cluster)
    chosen = _with(job, select=settings)
    check_select_columns(chosen, basis.embed)
    return select_again(chosen, basis.embed, basis.score, guarded=guarded)


def select_again(job: Job, embed: StageRecord, score: StageRecord, *, guarded: bool) -> StageRecord:
    """Make the job's own selection.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    score
        Record of the stage score.
    guarded
        Whether a guard may stop it.

    Returns
    -------
    StageRecord
        Record of the selection.

    Raises
    ------
    GuardError
        A guard stopped it.
    ConfigError
        A guard cannot be read.
    """
    try:
        return run_select(job, embed, score)
    except (GuardError, ConfigError):  # the latter of a file of golden pairs that is gone
        if guarded:
            raise
        return run_select(job, embed, score, guarded=False)


def _with(job: Job, **stages: Any) -> Job:
    """Raises :class:`ConfigError` where the stages do not fit the rest of the job."""
    try:
        config = parse_config({**job.config.model_dump(), **stages})
    except ConfigError as error:
        problem = f"an earlier command's settings must fit the job. {error.problem}"
        raise ConfigError(problem, hint=error.hint) from error
    return replace(job, config=config)
