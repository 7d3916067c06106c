"""What fraction of the rows each eps keeps, and which eps keeps a wanted fraction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.tuned import Counted, Similarities, check_grid, tuned
from semdedup_spark.answers.tuning import SizeShare, SourceShare, Tuning
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.later_similarity import later_similarity
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.select.decisions import count_decisions
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.queries.growth import MOST_HALVINGS, batches, halvings
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
from semdedup_spark.values import legible

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
    by_size: bool = False,
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
    by_size
        Count for smaller corpora, too. The scores must be of a random order.
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
    What it calls raises ``ConfigError`` where a value is outside (0, 1) or ``by_size`` is asked of
    another order, and ``SourceError`` where
    the embeddings do not carry the column ``by``; both before any Spark job. It raises
    ``StageOrderError`` where there are no scores, or where they are not those of the job's
    reference.
    """
    check_grid("--eps", eps_grid)
    check_grid("--keep", keep_grid)
    scores = read_table(job.spark, job.root, s.SCORES)
    if by_size:
        _check_order(job, scores)
    sourced = None if by is None else _with_source(job, scores, by)
    nearest = _nearest(job, scores, both_sides=both_sides)
    eps_max, recall = horizon_of(job)
    if selected is None:
        last = job.ledger.last("select")
        selected = None if last is None else last.metrics.get("eps")
    n = scores.count()
    known = Similarities(
        n,
        partial(_counts, scores, s.MAX_SIMILARITY),
        partial(_counts, nearest, NEAREST),
        both_sides or job.config.reference is not None,
        partial(_quantiles, scores, n),
    )
    found = tuned(
        known,
        eps_max=eps_max,
        recall=recall,
        selected=selected,
        eps_grid=eps_grid,
        keep_grid=keep_grid,
    )
    grid = [at.eps for at in found.thresholds]
    found = replace(
        found,
        overrides=count_decisions(job),
        sizes=shares_by_size(scores, grid) if by_size else [],
    )
    if sourced is None:
        return found
    sources = shares_by_value(sourced, grid)
    return replace(found, by=by, sources=sources)


def horizon_of(job: Job) -> tuple[float, str]:
    """Tell how far the scores see. The job file may have been changed since they were made.

    Parameters
    ----------
    job
        The job whose scores are meant.

    Returns
    -------
    tuple[float, str]
        eps_max and recall of the scores.
    """
    last = job.ledger.last("score")
    if last is None:
        return job.config.score.eps_max, str(job.config.score.recall)
    made = json.loads(last.config)
    return float(made["eps_max"]), str(made.get("recall", "cluster"))


def _check_order(job: Job, scores: DataFrame) -> None:
    """Raise ``ConfigError`` where the first rows in rank order are no random ones."""
    last = job.ledger.last("score")
    made = json.loads(last.config)["rank_by"] if last else job.config.score.rank_by
    if made != "random" or job.config.reference is not None:
        got = f"rank_by {made}" if job.config.reference is None else "a reference"
        raise ConfigError(
            f"--by-size needs scores with rank_by random, and no reference. Got {got}.",
            hint="score a copy of the job file with another output and score.rank_by: random.",
        )
    row = batches(scores).first()
    if row is not None and row["batches"] > 1:
        raise ConfigError(
            f"--by-size needs rows of one batch: those of later batches rank behind. Got "
            f"{row['batches']} batches.",
            hint="embed them into a new output at once.",
        )


def _counts(rows: DataFrame, similarity: str, edges: list[float]) -> np.ndarray:
    cells = np.zeros(len(edges) + 1, dtype=np.int64)
    for row in cell_counts(rows, similarity, edges).collect():  # one row for each cell
        cells[row[CELL]] = row[ROWS]
    return cells


def _quantiles(scores: DataFrame, n: int, wanted: Sequence[float]) -> tuple[list[float], float]:
    row = order_statistics(scores, wanted, n).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return row["quantiles"], row["below_one"]


def _with_source(job: Job, scores: DataFrame, by: str) -> DataFrame:
    """Return (id, max_similarity, group), where ``group`` is the source's column as text."""
    rows = rows_as_embedded(job)
    names = rows.select(f"{s.SOURCE}.*").columns
    if by not in names:
        raise SourceError.missing_column(by, names, key="--by")
    value = legible(F.col(f"{s.SOURCE}.{s.quoted(by)}")).alias(GROUP)
    return scores.select(s.ID, s.MAX_SIMILARITY).join(rows.select(s.ID, value), s.ID)


def shares_by_size(scores: DataFrame, grid: list[float]) -> list[SizeShare]:
    """Count what thresholds keep of smaller corpora, each half as large as the next. In a random
    order the score of a row is its similarity to random rows, as many as come before it, so one
    run has the scores of all smaller ones.

    Parameters
    ----------
    scores
        Rows of (rank_key, max_similarity), scored in a random order.
    grid
        Thresholds eps, each in (0, 1).

    Returns
    -------
    list[SizeShare]
        At most 11 lines, the smallest corpus first. The last one is the whole.
    """
    edges = sorted({1 - eps for eps in grid})
    cells = np.zeros((MOST_HALVINGS + 1, len(edges) + 1), dtype=np.int64)
    for row in cell_counts(scores, s.MAX_SIMILARITY, edges, halvings()).collect():
        cells[row[GROUP], row[CELL]] = row[ROWS]
    found = []
    for counts in np.cumsum(cells[::-1], axis=0):
        of_size = Counted(edges, counts, int(counts.sum()))
        found.append(SizeShare(of_size.n, [of_size.kept(eps) for eps in grid]))
    return [each for each in found if each.rows]


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
    counted = {key: Counted(edges, each, int(each.sum())) for key, each in cells.items()}
    return [
        SourceShare(value, of_one.n, [of_one.kept(eps) for eps in grid], others)
        for (others, value), of_one in counted.items()
        if of_one.n
    ]
