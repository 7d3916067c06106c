"""Collect what a report shows of a finished job: a bounded amount, however large the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.overview import (
    DRAWN_GROUPS,
    EDGES,
    LARGEST,
    MEMBERS,
    UNCOVERED,
    Example,
    Group,
    Overview,
    Reason,
    Shown,
    StageLine,
)
from semdedup_spark.answers.tuning import named_value
from semdedup_spark.config import canonical_json
from semdedup_spark.masking import masked_settings
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.pictures import pictures
from semdedup_spark.pipeline.queries.reference_side import Side, ask_both
from semdedup_spark.pipeline.queries.row_texts import RowText, shown_rows, text_and_columns
from semdedup_spark.pipeline.queries.selections import (
    Selection,
    beside_survivors,
    drawn,
    edge_removals,
    require_selection,
)
from semdedup_spark.pipeline.queries.tune import run_tune
from semdedup_spark.tables.catalog import read_table, table_exists

if TYPE_CHECKING:
    from semdedup_spark.encoders.image.thumbnails import Thumbnail

_STAGES = ("embed", "cluster", "score")
_MOST_REASONS = 20


def run_overview(
    job: Job, *, name: str | None = None, by: str | None = None, seed: int = 0
) -> Overview:
    """Collect what a report shows of a finished selection.

    Parameters
    ----------
    job
        The job whose output is read.
    name
        Name of the selection; by default that of the job file.
    by
        Column of the source whose values are counted separately.
    seed
        Seed of the groups and pairs that are drawn at random.

    Returns
    -------
    Overview
        Everything that the report shows.

    Notes
    -----
    What it calls raises ``StageOrderError`` where there is no such selection, and ``SourceError``
    where the embeddings do not carry the column ``by``.
    """
    selection = require_selection(job, name)
    tuning = run_tune(job, by=by, selected=selection.eps)
    removed = selection.duplicates
    sizes = _group_sizes(removed)
    largest = sizes.orderBy(F.desc("size"), s.SURVIVOR_ID).limit(LARGEST).collect()
    some = drawn(sizes.withColumnRenamed(s.SURVIVOR_ID, s.ID), DRAWN_GROUPS, seed).collect()
    groups = _groups(job, removed, [(row[0], row["size"]) for row in (*largest, *some)])
    edges = edge_removals(job, selection, n=EDGES, seed=seed)
    uncovered = drawn(_uncovered(removed), UNCOVERED, seed)
    beside = beside_survivors(job, uncovered)
    examples = [*edges, *beside]
    ids = {each.id for each in examples}, {each.survivor_id for each in examples}
    removed_pictures, survivor_pictures = ask_both(job, partial(_pictures_of, job), *ids)
    said, survivors_said = ask_both(job, partial(_said_by, job), *ids)
    edges, beside = (_with_texts(rows, said, survivors_said) for rows in (edges, beside))
    lineage, settings, software = _lineage(job, selection)
    return Overview(
        output=job.root.location,
        selection=selection.name,
        resolution=json.loads(selection.record.config).get("resolution", "paper"),
        eps=selection.eps,
        counts=dict(selection.record.counts),
        tuning=tuning,
        n_groups=sizes.count(),
        cluster_sizes=_cluster_sizes(job),
        removed_per_cluster=_removed_per_cluster(removed),
        largest=groups[: len(largest)],
        drawn=groups[len(largest) :],
        edges=edges,
        uncovered=beside,
        reasons=_reasons(job),
        lineage=lineage,
        settings=settings,
        software=software,
        pictures=removed_pictures,
        survivor_pictures=survivor_pictures,
        columns={row_id: each.columns for row_id, each in said.items()},
        survivor_columns={row_id: each.columns for row_id, each in survivors_said.items()},
        has_reference=job.config.reference is not None,
    )


def _uncovered(removed: DataFrame) -> DataFrame:
    rows = removed.filter(~F.col(s.COVERED))
    if s.REASON not in removed.columns:  # tables of older releases have none
        return rows
    return rows.filter(F.col(s.REASON) != s.BY_VERDICT)


def _group_sizes(removed: DataFrame) -> DataFrame:
    grouped = removed.filter(F.col(s.SURVIVOR_ID).isNotNull())
    return grouped.groupBy(s.SURVIVOR_ID).agg(F.count(F.lit(1)).alias("size"))


def _removed_per_cluster(removed: DataFrame) -> list[int]:
    clusters = removed.groupBy(s.CLUSTER_ID).count().collect()  # one row for each cluster
    return [int(row["count"]) for row in clusters]


def _groups(job: Job, removed: DataFrame, wanted: Sequence[tuple[Any, int]]) -> list[Group]:
    survivors = [survivor for survivor, _ in wanted]
    least_similar = Window.partitionBy(s.SURVIVOR_ID).orderBy(s.SURVIVOR_SIMILARITY, s.ID)
    few = (
        removed.filter(F.col(s.SURVIVOR_ID).isin(survivors))
        .withColumn("place", F.row_number().over(least_similar))
        .filter(F.col("place") <= MEMBERS)
        .select(s.ID, s.SURVIVOR_ID, s.SURVIVOR_SIMILARITY, "place")
    )
    members = few.orderBy("place").collect() if survivors else []
    shown, standing = ask_both(
        job, partial(shown_rows, job), {row[s.ID] for row in members}, set(survivors)
    )
    of_group: dict[Any, list[Shown]] = {survivor: [] for survivor in survivors}
    for row in members:
        member = replace(shown[row[s.ID]], similarity=float(row[s.SURVIVOR_SIMILARITY]))
        of_group[row[s.SURVIVOR_ID]].append(member)
    return [Group(standing[each], of_group[each], int(size)) for each, size in wanted]


def _pictures_of(job: Job, side: Side, named: set[str]) -> dict[str, Thumbnail]:
    """Read thumbnails by ids written as text."""
    if side.source.kind == "text":
        return {}
    found = pictures(job, side, _ids_of(job, named))
    return {str(row_id): picture for row_id, picture in found.items()}


def _said_by(job: Job, side: Side, named: set[str]) -> dict[str, RowText]:
    """Read texts and columns by ids written as text."""
    found = text_and_columns(job, side, _ids_of(job, named))
    return {str(row_id): told for row_id, told in found.items()}


def _ids_of(job: Job, named: set[str]) -> set[Any]:
    """Return ids that were written as text. They are strings, such as paths, or whole numbers."""
    kind = read_table(job.spark, job.root, s.SCORES).schema[s.ID].dataType.typeName()
    return set(named) if kind == "string" else {int(each) for each in named}


def _with_texts(
    rows: Sequence[Example], own: dict[str, RowText], others: dict[str, RowText]
) -> list[Example]:
    """Show the text of each row, without the columns that stand in for a missing one."""
    nothing = RowText("")
    return [
        replace(
            row,
            text=own.get(row.id, nothing).text,
            survivor_text=others.get(row.survivor_id, nothing).text,
        )
        for row in rows
    ]


def _cluster_sizes(job: Job) -> list[int]:
    """Return the number of rows of each cluster."""
    rows = read_table(job.spark, job.root, s.CLUSTERS).select(s.N_ROWS).collect()
    return [int(row[0]) for row in rows]


def _reasons(job: Job) -> list[Reason]:
    if not table_exists(job.spark, job.root, s.QUARANTINE):
        return []
    rows = read_table(job.spark, job.root, s.QUARANTINE)
    first = F.min_by(F.struct(F.col(s.ID).cast("string"), s.MESSAGE), F.xxhash64(s.ID))
    by_reason = rows.groupBy(s.REASON).agg(F.count(F.lit(1)).alias("n"), first.alias("first"))
    top = by_reason.orderBy(F.desc("n"), s.REASON).limit(_MOST_REASONS).collect()
    return [
        Reason(row[s.REASON], int(row["n"]), named_value(row["first"][0]), row["first"][1] or "")
        for row in top
    ]


def _lineage(
    job: Job, selection: Selection
) -> tuple[list[StageLine], dict[str, str], dict[str, str]]:
    """Return what ran, its settings, and the versions of the software, by stage."""
    records = [*(job.ledger.last(stage) for stage in _STAGES), selection.record]
    known = [record for record in records if record is not None]
    lines = [
        StageLine(
            r.stage,
            r.run_id,
            r.started_at,
            r.seconds,
            r.reused,
            r.inputs,
            r.outputs,
            r.counts,
            r.metrics,
        )
        for r in known
    ]
    trees = {r.stage: json.loads(r.config) for r in known}
    trees["job file"] = json.loads(canonical_json(job.config))
    settings = {name: json.dumps(masked_settings(tree), indent=2) for name, tree in trees.items()}
    return lines, settings, dict(known[-1].software)
