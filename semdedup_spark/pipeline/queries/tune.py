"""What fraction of the rows each eps keeps, and which eps keeps a wanted fraction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.later_similarity import later_similarity
from semdedup_spark.pipeline.queries.tune_result import (
    CURVE_POINTS,
    SourceShare,
    Target,
    Threshold,
    Tuning,
)
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
_BINS = 50
_MOST_SOURCES = 40


def _nearest(job: Job, scores: DataFrame, *, both_sides: bool) -> DataFrame:
    """Return (id, nearest): the highest similarity of each row to any other row, on either side of
    it in rank order, or to any row of the reference.
    """
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
    """Count, from the scores, what thresholds would keep.

    Parameters
    ----------
    job
        The job whose scores are read.
    eps_grid
        Thresholds, each in (0, 1). By default a usual grid up to the horizon, and ``selected``.
    keep_grid
        Fractions of the rows, each in (0, 1), for which an eps is sought. By default a usual grid.
    by
        Column of the source whose values are counted separately.
    selected
        Threshold in use; by default that of the newest selection without a name.
    both_sides
        Count exactly how many rows have a duplicate. This compares all rows once more.

    Returns
    -------
    Tuning
        The counts.

    Notes
    -----
    What it calls raises ``ConfigError`` where a value is outside (0, 1), and ``SourceError`` where
    the embeddings do not carry the column ``by``; both before any Spark job. It raises
    ``StageOrderError`` where there are no scores, or where they are not those of the job's
    reference.
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
    evenly = {eps_max * i / CURVE_POINTS for i in range(CURVE_POINTS + 1)}
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
    """Numbers of rows by similarity.

    Attributes
    ----------
    edges
        Similarities, ascending.
    cells
        (len(edges) + 1,) int64. Number of rows between two edges; an edge belongs to the cell
        below it.
    n
        Number of rows in all.
    """

    edges: list[float]
    cells: np.ndarray
    n: int

    def up_to(self, edge: float) -> int:
        """Count rows up to a similarity.

        Parameters
        ----------
        edge
            One of the edges.

        Returns
        -------
        int
            Number of rows whose similarity is at most ``edge``.
        """
        return int(self.cells[: self.edges.index(edge) + 1].sum())

    def kept(self, eps: float) -> float:
        """Compute what fraction of the rows an eps keeps.

        Parameters
        ----------
        eps
            A threshold; ``1 - eps`` must be one of the edges.

        Returns
        -------
        float
            Fraction in [0, 1]; 0 where there are no rows.
        """
        return self.up_to(1 - eps) / max(self.n, 1)


def _below_one() -> float:
    """Return the largest float32 below 1. A similarity above it is that of an exact copy."""
    return float(np.nextafter(np.float32(1), np.float32(0)))


def _check(option: str, values: Sequence[float]) -> None:
    for value in values:
        if not 0 < value < 1:
            raise ConfigError(f"{option} must be in (0, 1). Got {value:g}.")


def _horizon(job: Job) -> tuple[float, str]:
    """Return eps_max and recall of the scores. The job file may have been changed since."""
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
    """Return (id, max_similarity, group), where ``group`` is the source's column as text."""
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS)
    names = embeddings.select(f"{s.SOURCE}.*").columns
    if by not in names:
        raise SourceError.missing_column(by, names, key="--by")
    column = F.col(f"{s.SOURCE}.{s.quoted(by)}").cast("string")
    of_row = embeddings.select(s.ID, column.alias(GROUP))
    return scores.select(s.ID, s.MAX_SIMILARITY).join(of_row, s.ID)


def shares_by_value(sourced: DataFrame, grid: list[float]) -> list[SourceShare]:
    """Count what thresholds keep of the rows of each value of a column. The 40 most frequent values
    are counted one by one, all others as one.

    Parameters
    ----------
    sourced
        Rows of (max_similarity, group), where ``group`` is the value as text or null.
    grid
        Thresholds eps, each in (0, 1).

    Returns
    -------
    list[SourceShare]
        At most 41 lines, the values of most rows first.
    """
    sizes = sourced.groupBy(GROUP).count().orderBy(F.desc("count"), GROUP)
    top = [row[GROUP] for row in sizes.limit(_MOST_SOURCES).collect()]
    edges = sorted({1 - eps for eps in grid})
    named = F.col(GROUP).isin([value for value in top if value is not None])
    is_top = F.coalesce(named, F.lit(None in top))
    # The label keeps apart: the rest, null, and values that read like the words for these.
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
