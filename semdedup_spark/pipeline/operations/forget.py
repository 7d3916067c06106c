"""Erasure: rows leave every table, and what they hid comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.ids import parse_ids
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.operations.verdicts import erase_pairs
from semdedup_spark.pipeline.refresh import Basis, as_last_made, refresh_others
from semdedup_spark.pipeline.rows_as_embedded import all_rows_as_embedded
from semdedup_spark.pipeline.stages.cluster import require_centroids
from semdedup_spark.pipeline.stages.embed.embed import note_erasure, require_embed
from semdedup_spark.pipeline.stages.rank_order import check_order
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.score import run_score
from semdedup_spark.pipeline.stages.select.decisions import rows_if_any
from semdedup_spark.pipeline.stages.select.kept_clone import check_clones, empty_idle_clones
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.commits.write import replace_rows
from semdedup_spark.tables.hash_buckets import part_with
from semdedup_spark.tables.literal_rows import ids_as
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.visible import masked_repr

MOST_IDS = 10_000
_WITH_IDS = (s.EMBEDDINGS, s.QUARANTINE, s.OVERRIDES)


@masked_repr
@dataclass(frozen=True)
class Forgotten:
    """What an erasure did.

    Attributes
    ----------
    embedded
        Number of rows erased from ``embeddings``.
    quarantined
        Number of rows erased from ``quarantine``.
    records
        Records of the stages that ran after it.
    tables
        Tables, as SQL names them, whose old files still have the rows.
    stale
        Tables of selections that can no longer be made as they were configured; they still have
        the rows.
    unknown
        Ids that no table had.
    """

    embedded: int
    quarantined: int
    records: tuple[StageRecord, ...]
    tables: tuple[str, ...]
    stale: tuple[str, ...]
    unknown: tuple[object, ...]


@exclusive
def run_forget(job: Job, ids: Sequence[str]) -> Forgotten:
    """Erase rows by their ids. Rows whose neighbor they were are scored again. Selections, named
    ones as well, and a pruning are made again, so that the tables are those of a run over the
    rest. All of it uses the settings that it was last made with, whatever the job's say. Repeated,
    it changes nothing; killed and given again, it ends as if it had not been killed. No guard
    stops it.

    A :class:`ConfigError` says that an id cannot be one of this table, and a :class:`SourceError`
    that a table of decisions lacks a column. Both come before anything is erased.

    Parameters
    ----------
    job
        The job.
    ids
        The ids as text, at most ``MOST_IDS`` of them.

    Returns
    -------
    Forgotten
        What was erased, and what was made again.
    """
    embed = require_embed(job)
    wanted = _typed(job, ids)
    job = as_last_made(job, "cluster", "score", "select")
    job = replace(job, allow_empty=True)  # the last row may be erased, too
    made = {record.stage for record in job.ledger.records()}
    # Check that the stages which follow can run, before anything is erased.
    cluster = require_centroids(job) if made & {"score", "prune"} else None
    # What follows reads the source, and must not fail half-way. The rows may have left it already.
    kind = read_table(job.spark, job.root, s.EMBEDDINGS).schema[s.ID].dataType
    all_rows_as_embedded(job, embed, ids_as(kind, wanted, job.spark))
    if "score" in made:
        check_reference(job)
        check_order(job, embed)
    check_clones(job, embed)
    for table in s.BY_PEOPLE:  # they may have been changed by SQL
        rows_if_any(job, table)
    erased = {name: _erase(job, name, wanted) for name in _WITH_IDS}
    of_pairs, in_pairs = erase_pairs(job, wanted)
    embed = note_erasure(job, embed)
    done, stale = _follow(job, embed, cluster, made) if cluster is not None else ((), ())
    empty_idle_clones(job)
    hold = [s.EMBEDDINGS, s.QUARANTINE, *([s.OVERRIDES] if erased[s.OVERRIDES] else []), *of_pairs]
    hold += [s.SCORES for each in done if each.stage == "score"]
    hold += [table for each in done if each.stage != "score" for table in each.outputs]
    places = tuple(map(job.root.name, hold))
    counts = {name: sum(found.values()) for name, found in erased.items()}
    known = in_pairs | {id_ for found in erased.values() for id_ in found}
    unknown = tuple(id_ for id_ in wanted if str(id_) not in known)
    return Forgotten(counts[s.EMBEDDINGS], counts[s.QUARANTINE], done, places, stale, unknown)


def _follow(
    job: Job, embed: StageRecord, cluster: StageRecord, made: set[str]
) -> tuple[tuple[StageRecord, ...], tuple[str, ...]]:
    """Run the stages after ``embed`` again that had run: (their records, tables that are stale)."""
    score = run_score(job, embed, cluster) if "score" in made else None
    others = refresh_others(job, Basis(embed, cluster, score), guarded=False)
    return (*([score] if score else []), *others.records), others.stale


def _typed(job: Job, ids: Sequence[str]) -> Sequence[object]:
    if not 0 < len(set(ids)) <= MOST_IDS:
        raise ConfigError(
            f"forget must be given 1 to {MOST_IDS:,} ids. Got {len(set(ids)):,}.",
            hint="delete more of them in the source, and run `semdedup run`.",
        )
    kind = read_table(job.spark, job.root, s.EMBEDDINGS).schema[s.ID].dataType
    return sorted(parse_ids(ids, kind))


def _erase(job: Job, table: str, ids: Sequence[object]) -> dict[str, int]:
    """Erase the rows; returns how many the table had of each id, as text, that it had at all."""
    state = job.state(table)
    # People may have changed overrides with SQL.
    if state is None and not (table == s.OVERRIDES and table_exists(job.spark, job.root, table)):
        return {}
    rows = read_table(job.spark, job.root, table, None if state is None else state.version)
    wanted = F.broadcast(ids_as(rows.schema[s.ID].dataType, ids, job.spark))  # MOST_IDS at most
    counts = held(rows.join(wanted, s.ID, "left_semi").groupBy(s.ID).count())
    found = {str(row[0]): int(row[1]) for row in counts.collect()}
    if found:
        # The key of the result stays, as the source is the same. The number of erased rows tells
        # this result from the one before.
        last = StageMark(job.run_id, "override", "") if state is None else state.mark
        history = replace(last.rows, erased=last.rows.erased + sum(found.values()))
        mark = replace(last, run_id=job.run_id, rows=history)
        part = part_with(counts.select(s.ID), rows.count())
        beside = part.of(rows).join(wanted, s.ID, "left_anti").select(*rows.columns)
        replace_rows(beside, job.root, table, part, mark)
    return found
