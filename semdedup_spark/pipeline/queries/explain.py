"""Why one row was kept, removed or rejected. Reads by id; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import UnknownRowError
from semdedup_spark.pipeline.ids import parse_id
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import of_both
from semdedup_spark.pipeline.queries.selections import Selection, contents, find_selection
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.tables.catalog import read_table, table_exists

_MOST_LINKS = 50
_MOST_INNER = 100_000
_MOST_REJECTIONS = 20
_SUGGESTED = 3


@dataclass(frozen=True)
class Standing:
    """The row of ``scores``. ``rank_in_cluster``: 1 is the most preferred of ``cluster_rows``;
    ``kept_up_to``: the largest eps that keeps the row by the paper's rule, 0 for an exact copy.
    """

    cluster_id: int
    cluster_rows: int
    rank_in_cluster: int
    batch: int
    rank_key: str
    centroid_similarity: float
    max_similarity: float
    neighbor_id: Any
    exhaustive: bool
    kept_up_to: float


@dataclass(frozen=True)
class Link:
    """A removed row and the earlier row because of which it went; null where a decision of a person
    removed it.
    """

    id: Any
    neighbor_id: Any
    similarity: float | None


@dataclass(frozen=True)
class Absorbed:
    """A row that a kept row stands for."""

    id: Any
    similarity: float | None
    survivor_similarity: float | None


@dataclass(frozen=True)
class Rejection:
    """A row of ``quarantine``."""

    stage: str
    reason: str
    message: str | None


@dataclass(frozen=True)
class Explanation:
    """``fate``: ``scored`` where nothing was selected yet; ``reason``: of a removed row, that of
    ``duplicates``; ``protected_from``: the row that it would have gone for, had ``must_agree`` not
    kept it; ``decision``: what a person decided about it, and why. ``chain``: from the row to its
    survivor, at most 50 links (``chain_complete``); ``absorbed``: the most similar of
    ``n_absorbed`` rows; ``contents``: by id as text, what the rows named here say;
    ``reference_contents``: that of neighbors and survivors, where these are rows of a reference.
    """

    id: Any
    fate: Literal["kept", "removed", "quarantined", "scored"]
    selection: str | None = None
    eps: float | None = None
    standing: Standing | None = None
    chain: list[Link] = field(default_factory=list)
    chain_complete: bool = True
    reason: str | None = None
    protected_from: Any = None
    decision: str | None = None
    survivor_id: Any = None
    survivor_similarity: float | None = None
    covered: bool | None = None
    n_absorbed: int = 0
    absorbed: list[Absorbed] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    reference_contents: dict[str, str] | None = None


def run_explain(job: Job, key: str, *, name: str | None = None, most: int = 20) -> Explanation:
    """Everything the tables know about the row whose id is written ``key``. ``most``: rows that a
    kept one stands for, to be listed; their number is exact.

    Raises :class:`UnknownRowError` where no table has the id, and :class:`ConfigError` where it
    is not of the ids' type.
    """
    scores = read_table(job.spark, job.root, s.SCORES)
    check_reference(job)
    row_id = parse_id(key, scores.schema[s.ID].dataType)
    rejections = _rejections(job, row_id)
    found = scores.filter(F.col(s.ID) == F.lit(row_id)).first()
    if found is None and not rejections:
        raise _unknown(scores, key)
    if found is None:
        return Explanation(row_id, "quarantined", rejections=rejections)
    standing, selection = _standing(scores, found), find_selection(job, name)
    known = Explanation(row_id, "scored", standing=standing, rejections=rejections)
    if selection is not None:
        known = replace(known, selection=selection.name, eps=selection.eps)
        known = _fate(job, known, selection, most)
        protecting = s.of_selection(s.PROTECTED, selection.name)
        protected = _row_of(job, protecting, row_id) if known.fate == "kept" else None
        if protected is not None:
            known = replace(known, protected_from=protected[s.PROTECTED_FROM])
    decided = _row_of(job, s.OVERRIDES, row_id)
    if decided is not None:
        known = replace(known, decision=f"{decided[s.ACTION]}: {decided[s.REASON]}")
    return _with_contents(job, known, standing.neighbor_id)


def _with_contents(job: Job, known: Explanation, neighbor_id: Any) -> Explanation:
    own = [known.id, *(each.id for each in known.absorbed)]
    others = [neighbor_id, known.survivor_id, known.protected_from]
    others += [link.neighbor_id for link in known.chain]
    found = of_both(job, partial(contents, job), set(own), set(others) - {None})
    texts, theirs = ({str(each): text for each, text in told.items()} for told in found)
    if job.config.reference is None:
        return replace(known, contents=texts)
    return replace(known, contents=texts, reference_contents=theirs)


def _unknown(scores: DataFrame, key: str) -> UnknownRowError:
    text = F.col(s.ID).cast("string")
    alike = scores.filter(F.contains(F.lower(text), F.lit(key.lower()))).select(text)
    some = [row[0] for row in alike.limit(_SUGGESTED).collect()]
    first = [row[0] for row in scores.select(text).limit(_SUGGESTED).collect()]
    listed = ", ".join(map(repr, some or first))
    return UnknownRowError(
        f"--id must be the id of a scored or quarantined row. Got {key!r}.",
        hint=f"ids that contain it: {listed}" if some else f"ids look like {listed}",
    )


def _row_of(job: Job, table: str, row_id: Any) -> Row | None:
    """The row of a table that there may be."""
    if not table_exists(job.spark, job.root, table):
        return None
    return read_table(job.spark, job.root, table).filter(F.col(s.ID) == F.lit(row_id)).first()


def _rejections(job: Job, row_id: Any) -> list[Rejection]:
    if not table_exists(job.spark, job.root, s.QUARANTINE):
        return []
    rows = read_table(job.spark, job.root, s.QUARANTINE).filter(F.col(s.ID) == F.lit(row_id))
    few = rows.select(s.STAGE, s.REASON, s.MESSAGE).limit(_MOST_REJECTIONS).collect()
    return [Rejection(*row) for row in few]


def _standing(scores: DataFrame, row: Row) -> Standing:
    before = F.lit(False)
    for name in (s.ID, s.RANK_KEY, s.BATCH):  # the last term of the order first
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
        kept_up_to=1 - float(row[s.MAX_SIMILARITY]),
    )


def _fate(job: Job, known: Explanation, selection: Selection, most: int) -> Explanation:
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
    chain, complete = _chain(duplicates, own)
    return replace(
        known,
        fate="removed",
        chain=chain,
        chain_complete=complete,
        reason=own.asDict().get(s.REASON),  # older tables have none
        survivor_id=own[s.SURVIVOR_ID],
        survivor_similarity=own[s.SURVIVOR_SIMILARITY],
        covered=own[s.COVERED],
    )


def _chain(duplicates: DataFrame, own: Row) -> tuple[list[Link], bool]:
    """From a removed row neighbor by neighbor to a kept one. Every link is of the same group, and
    but for the first the neighbor of another row: few even where the group is large.
    """
    first = Link(own[s.ID], own[s.NEIGHBOR_ID], own[s.SIMILARITY])
    if first.neighbor_id == own[s.SURVIVOR_ID] or first.neighbor_id is None:
        return [first], True
    group = duplicates.filter(F.col(s.SURVIVOR_ID) == F.lit(own[s.SURVIVOR_ID]))
    named = group.select(F.col(s.NEIGHBOR_ID).alias(s.ID)).distinct()
    inner = group.join(named, s.ID, "left_semi").select(s.ID, s.NEIGHBOR_ID, s.SIMILARITY)
    steps = {row[0]: row for row in inner.limit(_MOST_INNER).collect()}
    chain = [first]
    while len(chain) < _MOST_LINKS and chain[-1].neighbor_id in steps:
        chain.append(Link(*steps[chain[-1].neighbor_id]))
    return chain, chain[-1].neighbor_id == own[s.SURVIVOR_ID]
