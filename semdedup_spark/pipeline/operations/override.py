"""Decisions of people about single rows, which every later selection follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, UnknownRowError
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.ids import parse_ids
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.select.decisions import decisions, rows_if_any
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.literal_rows import ids_as
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.transforms.checkpoint import held

_STAGE = "override"
_SHOWN = 5


@dataclass(frozen=True)
class Rows:
    """Which rows are meant.

    Attributes
    ----------
    ids
        Ids of rows, as text.
    groups
        Ids of survivors, as text: the rows that these stand for.
    """

    ids: Sequence[str] = ()
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Overridden:
    """What became of the table ``overrides``.

    Attributes
    ----------
    changed
        Number of overrides that this command added, changed or withdrew.
    total
        Number of overrides in the table now.
    """

    changed: int
    total: int


def override_rows(job: Job, rows: Rows, action: str, reason: str) -> Overridden:
    """Keep or remove rows in any case, from the next selection on. Repeated, it changes nothing. A
    row has one override: a later one replaces it. A group to be removed goes with its survivor.

    An :class:`UnknownRowError` names an id that was never scored, or that stands for no row.

    Parameters
    ----------
    job
        The job.
    rows
        The rows.
    action
        ``keep`` or ``remove``.
    reason
        Why, in words; it is kept in the table.

    Returns
    -------
    Overridden
        What was changed.

    Raises
    ------
    ConfigError
        No reason is given.
    """
    if not reason.strip():
        raise ConfigError("--reason must say why. Got nothing.")
    return _override(job, rows, action, reason)


@exclusive
def _override(job: Job, rows: Rows, action: str, reason: str) -> Overridden:
    check_reference(job)
    # Rows of a reference stay, also where rows of the source have the same ids.
    own_survivors = job.config.reference is None
    chosen = _chosen(job, rows, with_survivor=action == s.REMOVE and own_survivors)
    moment = F.lit(datetime.now(timezone.utc)).cast("timestamp")
    wanted = chosen.select(
        s.ID,
        F.lit(action).alias(s.ACTION),
        F.lit(reason).alias(s.REASON),
        moment.alias(s.CHANGED_AT),
    )
    old = decisions(job, chosen.schema[s.ID].dataType)
    if old is not None:
        wanted = wanted.join(old, [s.ID, s.ACTION, s.REASON], "left_anti").select(*wanted.columns)
    wanted = held(wanted)
    changed = wanted.count()
    kept = wanted if old is None else old.join(wanted, s.ID, "left_anti").unionByName(wanted)
    return _store(job, kept, changed)


@exclusive
def withdraw_overrides(job: Job, ids: Sequence[str], action: str) -> Overridden:
    """Forget overrides.

    Parameters
    ----------
    job
        The job.
    ids
        Ids of rows, as text; rows without such an override are passed over.
    action
        ``keep`` or ``remove``: overrides of the other kind stay.

    Returns
    -------
    Overridden
        What was changed.
    """
    old = rows_if_any(job, s.OVERRIDES)
    if old is None:
        return Overridden(0, 0)
    chosen = _typed(job, ids, s.OVERRIDES)
    leaving = held(old.filter(F.col(s.ACTION) == action).join(chosen, s.ID, "semi"))
    return _store(job, old.join(leaving, s.ID, "left_anti"), leaving.count())


def _store(job: Job, rows: DataFrame, changed: int) -> Overridden:
    if not changed:
        old = rows_if_any(job, s.OVERRIDES)
        return Overridden(0, 0 if old is None else old.count())
    mark = StageMark(job.run_id, _STAGE, "")
    ready = held(rows.select(s.ID, s.ACTION, s.REASON, s.CHANGED_AT).coalesce(1))
    return Overridden(changed, replace_table(ready, job.root, s.OVERRIDES, mark).rows)


def _chosen(job: Job, rows: Rows, *, with_survivor: bool) -> DataFrame:
    """DataFrame (id) of the rows that are meant, each once."""
    scores = read_table(job.spark, job.root, s.SCORES)
    given = _typed(job, rows.ids)
    _refuse_unknown(given, scores.select(s.ID), "be a row of scores")
    if not rows.groups:
        return given.select(s.ID).distinct()
    heads = _typed(job, rows.groups)
    duplicates = read_table(job.spark, job.root, _duplicates(job))
    survivors = duplicates.select(F.col(s.SURVIVOR_ID).alias(s.ID))
    _refuse_unknown(heads, survivors, f"be a survivor_id of {_duplicates(job)}")
    parts = [given, _members(job, rows.groups), *([heads] if with_survivor else [])]
    chosen = parts[0].select(s.ID)
    for part in parts[1:]:
        chosen = chosen.unionByName(part.select(s.ID))
    return chosen.distinct()


def _members(job: Job, groups: Sequence[str]) -> DataFrame:
    heads = _typed(job, groups).select(F.col(s.ID).alias(s.SURVIVOR_ID))
    duplicates = read_table(job.spark, job.root, _duplicates(job))
    return duplicates.join(heads, s.SURVIVOR_ID, "semi").select(s.ID)


def _duplicates(job: Job) -> str:
    return s.of_selection(s.DUPLICATES, job.config.select.name)


def _typed(job: Job, ids: Sequence[str], like: str = s.SCORES) -> DataFrame:
    """The ids in the type of a table's. Raises :class:`InvalidIdError` for no value of it."""
    kind = read_table(job.spark, job.root, like).schema[s.ID].dataType
    return ids_as(kind, parse_ids(ids, kind), job.spark)


def _refuse_unknown(typed: DataFrame, known: DataFrame, must: str) -> None:
    """Raise :class:`UnknownRowError` unless each of the few ids ``typed`` is among ``known``."""
    missing = typed.join(known, s.ID, "left_anti").orderBy(s.ID).limit(_SHOWN + 1).collect()
    if missing:
        more = ", ..." if missing[_SHOWN:] else ""
        shown = ", ".join(repr(str(row[0])) for row in missing[:_SHOWN]) + more
        raise UnknownRowError(
            f"every id must {must}. Not so: {shown}.",
            hint="nothing was written; ids are compared exactly.",
        )
