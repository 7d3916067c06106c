"""What a selection depends on besides its settings and the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.presets import identity_of_presets
from semdedup_spark.schema import ERASED
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.states import last_change
from semdedup_spark.transforms.select.agreement import check_columns, check_patterns

NO_OVERRIDES = "none"


def own_inputs(job: Job, score: StageRecord, embed: StageRecord) -> dict[str, str]:
    """Return all that the job's own selection depends on besides its settings.

    Parameters
    ----------
    job
        The job.
    score
        Record of the stage score.
    embed
        Record of the stage embed.

    Returns
    -------
    dict[str, str]
        Inputs of the stage.
    """
    select = job.config.select
    return selection_inputs(
        score,
        embed,
        overrides_input(job),
        [agreement.model_dump() for agreement in select.must_agree],
        has_review=select.review is not None,
        cloned=job.config.select.write == "clone",
    )


def selection_inputs(
    score: StageRecord,
    embed: StageRecord,
    overrides: dict[str, str],
    must_agree: Sequence[Mapping[str, Any]],
    *,
    has_review: bool = False,
    cloned: bool = False,
) -> dict[str, str]:
    """Return all that a selection depends on besides its settings.

    Parameters
    ----------
    score
        Record of the stage score.
    embed
        Record of the stage embed.
    overrides
        See :func:`overrides_input`.
    must_agree
        The setting of that name, as plain values.
    has_review
        Whether ``select.review`` is set. Only then pairs that people called duplicates count.
    cloned
        Whether the kept rows are a clone of the source. It refers to files of the version that was
        embedded, so another version needs another clone, also where no row has changed.

    Returns
    -------
    dict[str, str]
        Inputs of the stage.
    """
    if not has_review:
        overrides = {name: value for name, value in overrides.items() if name != s.ALSO_MERGE}
    inputs = {s.SCORES: score.result_key, **overrides, **_erased_input(embed)}
    inputs |= {"cloned": embed.inputs["source"]} if cloned else {}
    # Earlier releases wrote no table assignment: what they selected is selected again, once.
    return inputs | _agreement_inputs(must_agree) | {"tables": f"with {s.ASSIGNMENT}"}


def overrides_input(job: Job) -> dict[str, str]:
    """Return the identity of the decisions of people that a selection respects.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    dict[str, str]
        Inputs of the stage: the last change of ``overrides``, and of ``never_merge`` and
        ``also_merge`` where they exist.
    """
    now = {s.OVERRIDES: last_change(job.spark, job.root, s.OVERRIDES) or NO_OVERRIDES}
    for table in (s.NEVER_MERGE, s.ALSO_MERGE):
        change = last_change(job.spark, job.root, table)
        now |= {} if change is None else {table: change}
    return now


def _erased_input(embed: StageRecord) -> dict[str, str]:
    """How many rows were erased, from quarantine too. They change the counts of a selection, even
    where its tables stay the same.
    """
    return {ERASED: str(embed.counts[ERASED])} if embed.counts.get(ERASED) else {}


def _agreement_inputs(must_agree: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """How values that must agree are compared. Earlier releases compared their JSON texts, or let a
    row stay whose nearest earlier row differs; what they selected must not be reused. The settings
    have only the names of presets, and another release may find something else by the same name.
    """
    if not must_agree:
        return {}
    presets = [name for asked in must_agree for name in asked.get("preset") or ()]
    found = {"presets": identity_of_presets(presets)} if presets else {}
    return {"agreement": "nearest that agrees, as SQL compares", **found}


def check_select_columns(job: Job, embed: StageRecord) -> None:
    """Check that the source has the columns that the selection needs, and that Spark accepts its
    patterns.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.

    Notes
    -----
    What it calls raises ``SourceError`` where a column is not there, and ``ConfigError`` where
    Spark does not understand a pattern.
    """
    check_patterns(job.spark, job.config.select.patterns)
    asked = {key: names for key, names in job.config.select.columns.items() if names}
    if not asked:
        return
    own = rows_as_embedded(job, s.EMBEDDINGS, embed).select(f"{s.SOURCE}.*")
    for key, columns in asked.items():
        check_columns(own, columns, key=key)
