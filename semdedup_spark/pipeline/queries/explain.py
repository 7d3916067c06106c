"""Find out why one row was kept, removed or rejected. Rows are read by id; nothing is written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.explanation import (
    Absorbed,
    Explanation,
    Link,
    Rejection,
    Standing,
)
from semdedup_spark.errors import UnknownRowError
from semdedup_spark.pipeline.ids import parse_id
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import ask_both
from semdedup_spark.pipeline.queries.row_texts import contents
from semdedup_spark.pipeline.queries.selections import Selection, find_selection
from semdedup_spark.pipeline.queries.tune import horizon_of
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.tables.catalog import read_table, table_exists

MOST_LINKS = 50
# So many rows of a group, at most, are collected to follow a chain.
_MOST_INNER = 100_000
_MOST_REJECTIONS = 20
_SUGGESTED = 3


def run_explain(
    job: Job, key: str, *, name: str | None = None, most: int = 20, most_links: int = MOST_LINKS
) -> Explanation:
    """Collect everything that the tables say about one row.

    Parameters
    ----------
    job
        The job whose output is read.
    key
        Id of the row, as text.
    name
        Name of the selection; by default that of the job file.
    most
        Number of rows, at most, that are listed for a kept row that stands for them. Their count
        is exact in any case.
    most_links
        Number of links of the chain, at most.

    Returns
    -------
    Explanation
        What became of the row, and why.

    Raises
    ------
    UnknownRowError
        No table has the id.

    Notes
    -----
    What it calls raises ``InvalidIdError`` where the text cannot be an id of the type that the
    column has, and ``StageOrderError`` where there are no scores, where the scores are not those of
    the job's reference, or where there is no selection called ``name``.
    """
    scores = read_table(job.spark, job.root, s.SCORES)
    check_reference(job)
    row_id = parse_id(key, scores.schema[s.ID].dataType)
    rejections = _rejections(job, row_id)
    found = scores.filter(F.col(s.ID) == F.lit(row_id)).first()
    if found is None and not rejections:
        raise UnknownRowError(
            f"--id must be the id of a scored or quarantined row. Got {key!r}.",
            hint=_alike(scores, key),
        )
    if found is None:
        return Explanation(row_id, "quarantined", rejections=rejections)
    eps_max, _ = horizon_of(job)
    standing, selection = _standing(scores, found, eps_max), find_selection(job, name)
    known = Explanation(row_id, "scored", standing=standing, rejections=rejections)
    if selection is not None:
        known = replace(known, selection=selection.name, eps=selection.eps)
        known = _fate(job, known, selection, most, most_links)
        known = _held_back(job, known, selection.name)
    decided = _row_of(job, s.OVERRIDES, row_id)
    if decided is not None:
        known = replace(known, decision=f"{decided[s.ACTION]}: {decided[s.REASON]}")
    return _with_contents(job, known, standing.neighbor_id)


def _held_back(job: Job, known: Explanation, name: str | None) -> Explanation:
    """With what keeps a row, or asks about it, although an earlier row is similar."""
    if known.fate != "kept":
        return known
    protected = _row_of(job, s.of_selection(s.PROTECTED, name), known.id)
    if protected is not None:
        known = replace(known, protected_from=protected[s.PROTECTED_FROM])
    listed = _row_of(job, s.of_selection(s.REVIEW, name), known.id)
    return known if listed is None else replace(known, in_review_for=listed[s.SURVIVOR_ID])


def _with_contents(job: Job, known: Explanation, neighbor_id: Any) -> Explanation:
    own = [known.id, *(each.id for each in known.absorbed)]
    others = [neighbor_id, known.survivor_id, known.protected_from, known.in_review_for]
    others += [link.neighbor_id for link in known.chain]
    found = ask_both(job, partial(contents, job), set(own), set(others) - {None})
    texts, theirs = ({str(each): text for each, text in told.items()} for told in found)
    if job.config.reference is None:
        return replace(known, contents=texts)
    return replace(known, contents=texts, reference_contents=theirs)


def _alike(scores: DataFrame, key: str) -> str:
    """Name a few ids that contain the text, or else any."""
    text = F.col(s.ID).cast("string")
    alike = scores.filter(F.contains(F.lower(text), F.lit(key.lower()))).select(text)
    some = [row[0] for row in alike.limit(_SUGGESTED).collect()]
    first = [row[0] for row in scores.select(text).limit(_SUGGESTED).collect()]
    listed = ", ".join(map(repr, some or first))
    return f"ids that contain it: {listed}" if some else f"ids look like {listed}"


def _row_of(job: Job, table: str, row_id: Any) -> Row | None:
    """Return the row with this id, where the table exists and has one."""
    if not table_exists(job.spark, job.root, table):
        return None
    return read_table(job.spark, job.root, table).filter(F.col(s.ID) == F.lit(row_id)).first()


def _rejections(job: Job, row_id: Any) -> list[Rejection]:
    if not table_exists(job.spark, job.root, s.QUARANTINE):
        return []
    rows = read_table(job.spark, job.root, s.QUARANTINE).filter(F.col(s.ID) == F.lit(row_id))
    few = rows.select(s.STAGE, s.REASON, s.MESSAGE).limit(_MOST_REJECTIONS).collect()
    return [Rejection(*row) for row in few]


def _standing(scores: DataFrame, row: Row, eps_max: float) -> Standing:
    before = F.lit(False)
    for name in (s.ID, s.RANK_KEY, s.BATCH):  # built from the last term of the order to the first
        at = F.lit(row[name])
        before = (F.col(name) < at) | ((F.col(name) == at) & before)
    cluster = scores.filter(F.col(s.CLUSTER_ID) == row[s.CLUSTER_ID])
    sizes = cluster.agg(F.count(F.lit(1)).alias("n"), F.count_if(before).alias("before")).first()
    key = row[s.RANK_KEY]
    return Standing(
        cluster_id=row[s.CLUSTER_ID],
        cluster_rows=0 if sizes is None else int(sizes["n"]),
        rank_in_cluster=1 + (0 if sizes is None else int(sizes["before"])),
        batch=row[s.BATCH],
        rank_key=bytes(key).hex() if isinstance(key, bytes | bytearray) else str(key),
        centroid_similarity=float(row[s.CENTROID_SIMILARITY]),
        max_similarity=float(row[s.MAX_SIMILARITY]),
        neighbor_id=row[s.NEIGHBOR_ID],
        exhaustive=bool(row[s.EXHAUSTIVE]),
        kept_up_to=min(1 - float(row[s.MAX_SIMILARITY]), eps_max),
        eps_max=eps_max,
    )


def _fate(
    job: Job, known: Explanation, selection: Selection, most: int, most_links: int
) -> Explanation:
    duplicates = selection.duplicates
    own = duplicates.filter(F.col(s.ID) == F.lit(known.id)).first()
    if own is None and job.config.reference is not None:
        return replace(known, fate="kept")
    if own is None:
        group = duplicates.filter(F.col(s.SURVIVOR_ID) == F.lit(known.id))
        columns = (s.ID, s.SIMILARITY, s.SURVIVOR_SIMILARITY)
        few = group.orderBy(F.desc(s.SURVIVOR_SIMILARITY), s.ID).select(*columns).limit(most)
        absorbed = [Absorbed(*row) for row in few.collect()]
        n = len(absorbed) if len(absorbed) < most else group.count()
        return replace(known, fate="kept", absorbed=absorbed, n_absorbed=n)
    chain, complete = _chain(duplicates, own, most_links)
    return replace(
        known,
        fate="removed",
        chain=chain,
        chain_complete=complete,
        reason=own.asDict().get(s.REASON),  # tables of older releases have none
        survivor_id=own[s.SURVIVOR_ID],
        survivor_similarity=own[s.SURVIVOR_SIMILARITY],
        covered=own[s.COVERED],
    )


def _chain(duplicates: DataFrame, own: Row, most_links: int) -> tuple[list[Link], bool]:
    """Follow the neighbors from a removed row to a kept one.

    All rows on the way are in the group of one survivor. Each but the first is the neighbor of
    another row of the group. Such rows are few, even in a large group, so the driver holds them.
    """
    first = Link(own[s.ID], own[s.NEIGHBOR_ID], own[s.SIMILARITY])
    if first.neighbor_id == own[s.SURVIVOR_ID] or first.neighbor_id is None:
        return [first], True
    group = duplicates.filter(F.col(s.SURVIVOR_ID) == F.lit(own[s.SURVIVOR_ID]))
    named = group.select(F.col(s.NEIGHBOR_ID).alias(s.ID)).distinct()
    inner = group.join(named, s.ID, "left_semi").select(s.ID, s.NEIGHBOR_ID, s.SIMILARITY)
    steps = {row[0]: row for row in inner.limit(_MOST_INNER).collect()}
    chain = [first]
    while len(chain) < most_links and chain[-1].neighbor_id in steps:
        chain.append(Link(*steps[chain[-1].neighbor_id]))
    return chain, chain[-1].neighbor_id == own[s.SURVIVOR_ID]
