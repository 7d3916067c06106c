"""Erasure: rows leave every table, and what they hid comes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from semdedup_spark import schema as s
from semdedup_spark.config import PruneConfig, SelectConfig
from semdedup_spark.errors import ConfigError, GuardError, HorizonError
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.prune import run_prune
from semdedup_spark.pipeline.score import run_score
from semdedup_spark.pipeline.select import run_select
from semdedup_spark.pipeline.stages import Job, require_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import ids_in, replace_rows, table_state

MOST_IDS = 10_000
_WITH_IDS = (s.EMBEDDINGS, s.QUARANTINE, s.OVERRIDES)


@dataclass(frozen=True)
class Forgotten:
    """Rows erased from ``embeddings`` and from ``quarantine``, and the stages that ran after it.
    ``tables``: those whose old files still hold them, as SQL names them; ``stale``: those of
    selections that can no longer be made as they were configured, which hold them still.
    """

    embedded: int
    quarantined: int
    records: tuple[StageRecord, ...]
    tables: tuple[str, ...]
    stale: tuple[str, ...]


def run_forget(job: Job, ids: Sequence[str]) -> Forgotten:
    """Erase rows by their ids. Rows whose neighbor they were are scored again, and the selections,
    named ones as well, and a pruning are made anew, so that the tables are those of a run over the
    rest. Repeated, it changes nothing. No guard stops it.

    Raises :class:`ConfigError` where an id cannot be one of this table.
    """
    embed = require_stage(job, "embed", embed_settings(job.config))
    wanted = _typed(job, ids)
    erased = {name: _erase(job, name, wanted) for name in _WITH_IDS}
    counts = dict(embed.counts)
    embedded = read_table(job.spark, job.root, s.EMBEDDINGS).count()
    quarantined = read_table(job.spark, job.root, s.QUARANTINE).count()
    counts |= {"embedded": embedded, "quarantined": quarantined, "read": embedded + quarantined}
    record = replace(
        embed,
        run_id=job.run_id,
        started_at=datetime.now(timezone.utc),
        reused=False,
        why="rows were forgotten",
        outputs={**embed.outputs, **_versions(job)},
        counts=counts,
    )
    job.ledger.add(record)
    score = run_score(job, record)
    done, stale = [_selected(job, record, score)], []
    for other in job.ledger.records():
        if other.stage == done[0].stage:
            continue
        try:
            done += _made_again(job, other, record, score)
        except HorizonError:
            stale += [job.root.name(table) for table in other.outputs]
    job.ledger.flush()
    hold = [s.EMBEDDINGS, s.SCORES, s.QUARANTINE, *(t for each in done for t in each.outputs)]
    places = tuple(job.root.name(table) for table in hold)
    n_embedded, n_quarantined = erased[s.EMBEDDINGS], erased[s.QUARANTINE]
    return Forgotten(n_embedded, n_quarantined, (score, *done), places, tuple(stale))


def _made_again(
    job: Job, other: StageRecord, embed: StageRecord, score: StageRecord
) -> list[StageRecord]:
    """A selection, or a pruning, as it was configured; of other stages nothing."""
    settings = json.loads(other.config)
    if other.stage.partition(":")[0] == s.selection_stage(None):
        return [_selected(_with(job, select=SelectConfig(**settings)), embed, score)]
    if other.stage == "prune":
        return [run_prune(_with(job, prune=PruneConfig(**settings)), embed)]
    return []


def _with(job: Job, **stages: Any) -> Job:
    return replace(job, config=job.config.model_copy(update=stages))


def _selected(job: Job, embed: StageRecord, score: StageRecord) -> StageRecord:
    try:
        return run_select(job, embed, score)
    except GuardError:  # must not keep what is to be erased; the next run asks it again
        unguarded: dict[str, Any] = {"max_removed_fraction": None, "max_removed_fraction_by": {}}
        select = job.config.select.model_copy(update=unguarded)
        return run_select(_with(job, select=select), embed, score)


def _versions(job: Job) -> dict[str, int]:
    states = {name: table_state(job.spark, job.root, name) for name in (s.EMBEDDINGS, s.QUARANTINE)}
    return {name: state.version for name, state in states.items() if state is not None}


def _typed(job: Job, ids: Sequence[str]) -> Sequence[object]:
    if not 0 < len(set(ids)) <= MOST_IDS:
        raise ConfigError(
            f"forget must be given 1 to {MOST_IDS:,} ids. Got {len(set(ids)):,}.",
            hint="delete more of them in the source, and run `semdedup run`.",
        )
    kind = read_table(job.spark, job.root, s.EMBEDDINGS).schema[s.ID].dataType
    if isinstance(kind, StringType):
        return sorted(set(ids))
    try:
        return sorted({int(one) for one in ids})
    except ValueError as error:
        raise ConfigError(
            f"ids must be whole numbers, as in {job.root.name(s.EMBEDDINGS)}. Got: {error}."
        ) from error


def _erase(job: Job, table: str, ids: Sequence[object]) -> int:
    """How many rows of the table had one of the ids and are gone now."""
    state = table_state(job.spark, job.root, table)
    if state is None:
        return 0
    rows = read_table(job.spark, job.root, table, state.version)
    n = rows.filter(F.col(s.ID).isin(list(ids))).count()
    if n:
        # The result stays that of the source; how often rows were erased tells it from the one
        # before.
        mark = replace(state.mark, run_id=job.run_id, erased=state.mark.erased + n)
        replace_rows(rows.limit(0), job.root, table, ids_in(s.ID, ids), mark)
    return n
