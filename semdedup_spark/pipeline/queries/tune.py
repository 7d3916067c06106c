"""What each threshold would keep, and which threshold keeps so much: nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.later_similarity import later_similarity
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.queries.thresholds import (
    CELL,
    GROUP,
    NEAREST,
    ROWS,
    cell_counts,
    nearest_known,
    nearest_of,
    order_statistics,
)

EPS_GRID = (0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
KEEP_GRID = (0.99, 0.95, 0.9, 0.8, 0.7, 0.63, 0.5, 0.4)
_CURVE_POINTS = 30
_BINS = 50
_MOST_SOURCES = 40
OTHERS, NO_VALUE = "(other)", "(null)"


@dataclass(frozen=True)
class Threshold:
    """One eps: rows ``removed``, the fraction ``kept``, and ``in_groups``, the fraction of the rows
    that have a duplicate on either side, before or after them in rank order. From the scores alone
    it is a lower bound: the removed rows and their neighbors.
    """

    eps: float
    kept: float
    removed: int
    in_groups: float


@dataclass(frozen=True)
class Target:
    """The smallest eps that keeps at least the fraction ``wanted``, and what it keeps. ``limit``:
    ``copies`` where exact copies alone are more than may go; ``horizon`` where it would be beyond
    ``eps_max`` (``eps`` is null where scores do not reach so far).
    """

    wanted: float
    eps: float | None
    kept: float | None
    limit: Literal["copies", "horizon"] | None = None


@dataclass(frozen=True)
class SourceShare:
    """Rows of one value of the column asked ``by``, and the fraction kept at each threshold.
    ``source``: the value as text, ``None`` for null; ``others``: it is no value, but all the rest.
    """

    source: str | None
    rows: int
    kept: list[float]
    others: bool = False

    @property
    def name(self) -> str:
        """As a table names it; no two have one name."""
        return OTHERS if self.others else named_value(self.source)


def named_value(value: str | None) -> str:
    """A value of the data as a table names it. One that reads like our own words, like nothing,
    or like one in quotes stands in quotes.
    """
    if value is None:
        return NO_VALUE
    like_ours = value in (OTHERS, NO_VALUE) or value != value.strip() or not value
    return repr(value) if like_ours or value[0] in "'\"" else value


@dataclass(frozen=True)
class Tuning:
    """All of it. ``copies``: rows with M = 1; ``selected``: the eps of the last selection;
    ``curve``: (eps, fraction kept); ``histogram``: (from, to, rows) of M, open on the left but for
    the first; the last bin includes the copies; ``in_groups_exact``: see :class:`Threshold`.
    """

    rows: int
    copies: int
    eps_max: float
    recall: str
    selected: float | None
    thresholds: list[Threshold]
    targets: list[Target]
    curve: list[tuple[float, float]]
    histogram: list[tuple[float, float, int]]
    in_groups_exact: bool = False
    by: str | None = None
    sources: list[SourceShare] = field(default_factory=list)


def _nearest(job: Job, scores: DataFrame, *, both_sides: bool) -> DataFrame:
    """(id, nearest): the similarity of each row to any other, or to any of the reference."""
    check_reference(job)
    if both_sides:
        return nearest_of(scores, later_similarity(job))
    if job.config.reference is None:
        return nearest_known(scores)
    # Neighbors are rows of the reference, whose ids say nothing here.
    return scores.select(s.ID, F.col(s.MAX_SIMILARITY).alias(NEAREST))


def run_tune(
    job: Job,
    *,
    eps_grid: Sequence[float] = (),
    keep_grid: Sequence[float] = (),
    by: str | None = None,
    selected: float | None = None,
    both_sides: bool = False,
) -> Tuning:
    """Kept fractions for a grid of eps (by default a usual one, up to the horizon), and eps for a
    grid of kept fractions. ``by``: a column of the source to break the fractions down by;
    ``both_sides``: count the rows that have a duplicate exactly, which compares all rows once more.

    Raises :class:`ConfigError` for values outside (0, 1), :class:`SourceError` for a column that
    the embeddings do not carry, before any job.
    """
    _check("--eps", eps_grid)
    _check("--keep", keep_grid)
    scores = read_table(job.spark, job.root, s.SCORES)
    sourced = None if by is None else _with_source(job, scores, by)
    nearest = _nearest(job, scores, both_sides=both_sides)
    eps_max, recall = _horizon(job)
    n = scores.count()
    if selected is None:
        last = job.ledger.last("select")
        selected = None if last is None else last.metrics.get("eps")
    usual = {eps for eps in (*EPS_GRID, selected) if eps is not None and eps <= eps_max}
    grid = sorted(set(eps_grid) or usual)
    targets = _targets(scores, sorted(set(keep_grid or KEEP_GRID), reverse=True), n, eps_max)
    evenly = {eps_max * i / _CURVE_POINTS for i in range(_CURVE_POINTS + 1)}
    curve = sorted(evenly | {eps for eps in grid if eps <= eps_max})
    bins = [i / _BINS for i in range(_BINS + 1)]
    met = [t.eps for t in targets if t.eps is not None]
    edges = sorted({1 - eps for eps in (*grid, *curve, *met)} | set(bins) | {_below_one()})
    counted = _Counted(edges, _counts(scores, s.MAX_SIMILARITY, edges), n)
    near = _Counted(edges, _counts(nearest, NEAREST, edges), n)
    return Tuning(
        rows=n,
        copies=n - counted.up_to(_below_one()),
        eps_max=eps_max,
        recall=recall,
        selected=selected,
        thresholds=[
            Threshold(eps, counted.kept(eps), n - counted.up_to(1 - eps), 1 - near.kept(eps))
            for eps in grid
        ],
        targets=[_reached(target, counted) for target in targets],
        curve=[(eps, counted.kept(eps)) for eps in curve],
        histogram=_histogram(counted, bins),
        in_groups_exact=both_sides or job.config.reference is not None,
        by=by,
        sources=[] if sourced is None else shares_by_value(sourced, grid),
    )


@dataclass(frozen=True)
class _Counted:
    """``edges`` ascending, ``cells``: (len(edges) + 1,) rows between them, of ``n`` in all."""

    edges: list[float]
    cells: np.ndarray
    n: int

    def up_to(self, edge: float) -> int:
        """Rows whose similarity is at most ``edge``, which must be one of the edges."""
        return int(self.cells[: self.edges.index(edge) + 1].sum())

    def kept(self, eps: float) -> float:
        return self.up_to(1 - eps) / max(self.n, 1)


def _below_one() -> float:
    """The largest float32 under 1: whatever is above is an exact copy."""
    return float(np.nextafter(np.float32(1), np.float32(0)))


def _check(option: str, values: Sequence[float]) -> None:
    for value in values:
        if not 0 < value < 1:
            raise ConfigError(f"{option} must be in (0, 1). Got {value:g}.")


def _horizon(job: Job) -> tuple[float, str]:
    """What the scores were made with, which the job file may no longer say."""
    last = job.ledger.last("score")
    if last is None:
        return job.config.score.eps_max, str(job.config.score.recall)
    made = json.loads(last.config)
    return float(made["eps_max"]), str(made.get("recall", "cluster"))


def _counts(rows: DataFrame, similarity: str, edges: list[float]) -> np.ndarray:
    cells = np.zeros(len(edges) + 1, dtype=np.int64)
    for row in cell_counts(rows, similarity, edges).collect():  # one row for each cell
        cells[row[CELL]] = row[ROWS]
    return cells


def _targets(scores: DataFrame, wanted: list[float], n: int, eps_max: float) -> list[Target]:
    row = order_statistics(scores, wanted, n).first() if n else None
    if row is None:
        return []
    found = []
    for keep, quantile in zip(wanted, row["quantiles"], strict=True):
        if quantile >= 1.0:  # as select.keep does: only the copies go
            found.append(Target(keep, min(1 - row["below_one"], eps_max), None, "copies"))
        elif quantile <= 0.0:
            found.append(Target(keep, None, None, "horizon"))
        else:
            eps = 1 - quantile
            found.append(Target(keep, eps, None, "horizon" if eps > eps_max else None))
    return found


def _reached(target: Target, counted: _Counted) -> Target:
    if target.eps is None:
        return target
    return Target(target.wanted, target.eps, counted.kept(target.eps), target.limit)


def _histogram(counted: _Counted, bins: list[float]) -> list[tuple[float, float, int]]:
    ends = [counted.up_to(edge) for edge in bins[1:]]
    starts = [0, *ends[:-1]]
    return [
        (low, high, end - start)
        for low, high, start, end in zip(bins, bins[1:], starts, ends, strict=False)
    ]


def _with_source(job: Job, scores: DataFrame, by: str) -> DataFrame:
    """max_similarity and ``group``, the source's column as text."""
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS)
    names = embeddings.select(f"{s.SOURCE}.*").columns
    if by not in names:
        raise SourceError.missing_column(by, names, key="--by")
    column = F.col(f"{s.SOURCE}.{s.quoted(by)}").cast("string")
    of_row = embeddings.select(s.ID, column.alias(GROUP))
    return scores.select(s.ID, s.MAX_SIMILARITY).join(of_row, s.ID)


def shares_by_value(sourced: DataFrame, grid: list[float]) -> list[SourceShare]:
    """Fractions kept by the values of a column: those of most rows, and all others as one.

    Parameters
    ----------
    sourced
        ``max_similarity`` and ``group``, the value as text or null.
    grid
        Thresholds, eps.

    Returns
    -------
    list of SourceShare
        At most 41, whatever the column holds.
    """
    sizes = sourced.groupBy(GROUP).count().orderBy(F.desc("count"), GROUP)
    top = [row[GROUP] for row in sizes.limit(_MOST_SOURCES).collect()]
    edges = sorted({1 - eps for eps in grid})
    named = F.col(GROUP).isin([value for value in top if value is not None])
    is_top = F.coalesce(named, F.lit(None in top))
    # No value of the column may be taken for the rest, nor for null.
    label = F.struct(~is_top, F.when(is_top, F.col(GROUP)))
    keys = [*((False, value) for value in top), (True, None)]
    cells = {key: np.zeros(len(edges) + 1, dtype=np.int64) for key in keys}
    for row in cell_counts(sourced, s.MAX_SIMILARITY, edges, label).collect():
        cells[tuple(row[GROUP])][row[CELL]] += row[ROWS]
    counted = {key: _Counted(edges, each, int(each.sum())) for key, each in cells.items()}
    return [
        SourceShare(value, of_one.n, [of_one.kept(eps) for eps in grid], others)
        for (others, value), of_one in counted.items()
        if of_one.n
    ]
