"""A source that is about to be embedded: what is asked of it, and its rows once it was opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.last_version import LastVersion
from semdedup_spark.pipeline.stages.embed.source_guards import (
    check_not_empty,
    check_same_ids,
    check_same_length,
)
from semdedup_spark.pipeline.stages.select.kept_clone import check_clone_rows
from semdedup_spark.pipeline.stages.select.kept_view import check_shown
from semdedup_spark.sources.open_source import open_source
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.transforms.score.rank_key import check_rank_by
from semdedup_spark.transforms.select.agreement import check_columns, check_patterns
from semdedup_spark.visible import masked_repr

_OF_SOURCE = re.compile(
    rf"(?<![\w/.-])source(?=\.(?:{'|'.join(SourceConfig.model_fields)})\b)|(?<=\bthe )source\b"
)


@masked_repr
@dataclass(frozen=True)
class Side:
    """One of the two sources that may be compared, and where its rows go.

    Attributes
    ----------
    stage
        Name of the stage that embeds it.
    source
        Its configuration.
    table
        Table of its embeddings.
    quarantine
        Table of its rejected rows.
    columns
        Columns that it must have, by the configuration keys that ask for them.
    rank_by
        The order of its rows.
    patterns
        Patterns that will be looked for in its columns.
    check_id
        Refuses a type of ids.
    then
        The side that is embedded after this one. What can be refused of it is refused before this
        one is embedded.
    """

    stage: str
    source: SourceConfig
    table: str
    quarantine: str
    columns: Mapping[str, tuple[str, ...]]
    rank_by: str
    patterns: tuple[str, ...] = ()
    check_id: Callable[[DataType], object] = lambda _: None
    then: Side | None = None

    @property
    def key(self) -> str:
        """The key of the job file that configures it."""
        return "reference" if self.stage == "reference" else "source"


def opened_side(job: Job, side: Side, last: LastVersion) -> SourceRows:
    """Open a source, and the one whose turn comes after it, or take what was opened ahead.

    Parameters
    ----------
    job
        The job.
    side
        The source, and what is asked of it.
    last
        What is known of the version that was embedded last.

    Returns
    -------
    SourceRows
        Its rows. A :class:`SourceError` says why it, or the next one, cannot be used.
    """
    turn = job.turn
    opened = _opened_side(job, side, last)
    if turn is not None:
        turn.read[side.table] = opened
    return opened


def _opened_side(job: Job, side: Side, last: LastVersion) -> SourceRows:
    turn = job.turn
    ahead = None if turn is None else turn.opened.pop(side.table, None)
    same = side.table in job.frames  # a DataFrame has the same rows each time
    if ahead is not None and (same or ahead.fingerprint_now() == ahead.fingerprint):
        return ahead
    source = _opened(job, side, last)
    if side.then is not None and turn is not None:  # a dry run embeds nothing
        same_ids = partial(check_same_ids, source.rows.schema[s.ID].dataType)
        then = _opened(job, replace(side.then, check_id=same_ids))
        check_same_length(source, then)
        turn.opened[side.then.table] = then
    return source


def _opened(job: Job, side: Side, last: LastVersion | None = None) -> SourceRows:
    job.listener.waiting(f"{side.stage}: reading the {side.key}")
    frame, check = job.frames.get(side.table), partial(_check, job, side)
    try:
        known = () if last is None else (last.facts, last.earlier)
        rows = open_source(job.spark, side.source, check, frame, *known)
        check_not_empty(job, rows, side.source, side.table)
        if side.key == "source":
            check_clone_rows(job, rows)
    except SourceError as error:
        if side.key == "source":
            raise
        raise _of_reference(error) from error
    return rows


def _check(job: Job, side: Side, own: DataFrame, left_out: list[str], id_type: DataType) -> None:
    """What later stages ask of the source is checked before its rows are counted."""
    side.check_id(id_type)
    check_rank_by(own, side.rank_by, left_out)
    if side.key == "source":
        check_shown(job, own.columns)
    check_patterns(job.spark, side.patterns)
    for key, columns in side.columns.items():
        check_columns(own, columns, key=key)


def _of_reference(error: SourceError) -> SourceError:
    """The same error, in which the keys are those of the reference."""
    problem, hint = (_OF_SOURCE.sub("reference", text) for text in (error.problem, error.hint))
    return type(error)(problem, hint=hint)
