"""Draw removals of a selection for people to judge, from groups of similar ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.audit import Removal
from semdedup_spark.answers.tuning import named_value
from semdedup_spark.kernels.statistics.allocation import allocate
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import ask_both
from semdedup_spark.pipeline.queries.row_texts import shown_rows
from semdedup_spark.pipeline.queries.selections import Selection, require_selection, review_of
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.select.select_inputs import NO_OVERRIDES
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.queries.removal_strata import (
    BAND,
    COPIES_BAND,
    KIND,
    N_BANDS,
    PLACE,
    UNCOVERED_BAND,
    Stratum,
    drawn_rows,
    group_kinds,
    judged_rows,
    stratum_counts,
    with_strata,
)
from semdedup_spark.transforms.select.agreement import check_columns
from semdedup_spark.values import legible

MOST_DRAWN = 5_000
# Guesses that only decide how many removals of each band are drawn: the least similar are the
# likeliest to be wrong.
_GUESSED = {COPIES_BAND: 0.995, UNCOVERED_BAND: 0.6}
_GUESSED_OF_QUARTERS = (0.7, 0.8, 0.88, 0.94)
_MOST_VALUES = 8
_OTHERS = "(other)"
# Thresholds, as shares of that of the selection.
_THRESHOLDS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_N_OF_REVIEW = 10  # of these, between the two thresholds of a selection


@dataclass(frozen=True)
class Drawing:
    """Which removals are drawn. The same settings draw the same ones.

    Attributes
    ----------
    n
        Number of removals, at most ``MOST_DRAWN``.
    seed
        Seed of the draw.
    by
        Column of the source whose values are groups of their own. ``None``: the size of the group
        of copies takes its place.
    review
        Whether rows of ``review`` are drawn in place of removals.
    """

    n: int = 500
    seed: int = 0
    by: str | None = None
    review: bool = False


@dataclass(frozen=True)
class Drawn:
    """The groups of removals, and the rows that were drawn.

    Attributes
    ----------
    eps
        The threshold above which removals are drawn; that of ``review`` where its rows are.
    nearest
        The eps up to which none is drawn: 0, or that of the selection where rows of ``review`` are.
    strata
        The groups, the likeliest to be wrong first.
    sizes
        (H,) int64. Removals of each.
    eps_grid
        (E) thresholds up to ``eps``.
    sizes_at
        (E, H) int64. Removals of each whose survivor is above each threshold.
    rows
        The drawn rows, in the order in which they are shown.
    of
        For each of them the index of its group.
    """

    eps: float
    nearest: float
    strata: list[Stratum]
    sizes: npt.NDArray[np.int64]
    eps_grid: list[float]
    sizes_at: npt.NDArray[np.int64]
    rows: list[Row]
    of: list[int]


def draw_removals(job: Job, drawing: Drawing, name: str | None = None) -> list[Removal]:
    """Draw removals for people to judge, from groups of similar ones.

    Parameters
    ----------
    job
        The job.
    drawing
        Which are drawn.
    name
        Name of the selection; by default that of the job file.

    Returns
    -------
    list[Removal]
        In an order such that the first m of them are about a draw of m, for each m.

    Notes
    -----
    What it calls raises ``StageOrderError`` where there is no such selection, and ``SourceError``
    where the embeddings do not carry the column ``by``.
    """
    drawn = draw(job, drawing, name)
    ids = {row[s.ID] for row in drawn.rows}, {row[s.SURVIVOR_ID] for row in drawn.rows}
    own, others = ask_both(job, partial(shown_rows, job), *ids)
    return [
        Removal(
            row=own[row[s.ID]],
            survivor=others[row[s.SURVIVOR_ID]],
            neighbor_id=str(row[s.NEIGHBOR_ID]),
            similarity=float(row[s.SIMILARITY]),
            survivor_similarity=float(row[s.SURVIVOR_SIMILARITY]),
            stratum=stratum_name(drawn, drawn.strata[h], drawing.by),
        )
        for row, h in zip(drawn.rows, drawn.of, strict=True)
    ]


def draw(job: Job, drawing: Drawing, name: str | None) -> Drawn:
    """Draw removals. Runs some Spark jobs on the removals, and none on the vectors.

    Parameters
    ----------
    job
        The job.
    drawing
        Which are drawn.
    name
        Name of the selection; by default that of the job file.

    Returns
    -------
    Drawn
        The groups and the drawn rows.
    """
    check_reference(job)
    selection = require_selection(job, name)
    eps, nearest = selection.eps, 0.0
    if drawing.review:
        removed, eps, nearest = *review_of(job, selection), eps
    else:
        removed = judged_rows(selection.duplicates)
    kinds = group_kinds(removed) if drawing.by is None else _values(job, removed, drawing.by)
    seed: tuple[int | str, ...] = (drawing.seed, *_decided(selection))
    rows = held(with_strata(removed, eps, seed, kinds, nearest))
    shares = _THRESHOLDS[-_N_OF_REVIEW:] if drawing.review else _THRESHOLDS
    eps_grid = [nearest + (eps - nearest) * share for share in shares]
    counts = {
        Stratum(row[BAND], row[KIND]): row for row in stratum_counts(rows, eps_grid).collect()
    }
    strata = sorted(counts)
    sizes = np.array([counts[each]["n"] for each in strata], dtype=np.int64)
    left = [[counts[each][f"n{i}"] for each in strata] for i in range(len(eps_grid))]
    sizes_at = np.array(left, dtype=np.int64).reshape(len(eps_grid), len(strata))
    n_drawn = allocate(sizes, np.array([_guess(each.band) for each in strata]), drawing.n)
    wanted = {
        each: (int(n), int(of)) for each, n, of in zip(strata, n_drawn, sizes, strict=True) if n
    }
    few = drawn_rows(rows, wanted).collect() if wanted else []  # drawing.n at most
    index = {each: h for h, each in enumerate(strata)}
    shown = _interleaved(few, wanted)
    of_rows = [index[Stratum(row[BAND], row[KIND])] for row in shown]
    return Drawn(eps, nearest, strata, sizes, eps_grid, sizes_at, shown, of_rows)


def _decided(selection: Selection) -> tuple[str, ...]:
    """What people had decided when the selection was made. What they took away was not chosen by
    chance, so what is left of an earlier draw is none of the removals now: it must be drawn anew.
    """
    inputs = selection.record.inputs
    decided = tuple(inputs.get(table, NO_OVERRIDES) for table in (s.OVERRIDES, s.NEVER_MERGE))
    confirmed = (inputs[s.ALSO_MERGE],) if s.ALSO_MERGE in inputs else ()
    return (*decided, *confirmed) if confirmed or set(decided) != {NO_OVERRIDES} else ()


def _interleaved(rows: Iterable[Row], wanted: dict[Stratum, tuple[int, int]]) -> list[Row]:
    """Rows by their place in their group, as a share of what is drawn of it."""
    by_place = sorted(rows, key=lambda row: (row[PLACE], str(row[s.ID])))
    seen: dict[Stratum, int] = {}
    keyed = []
    for row in by_place:
        stratum = Stratum(row[BAND], row[KIND])
        at = seen[stratum] = seen.get(stratum, 0) + 1
        keyed.append(((at - 0.5) / wanted[stratum][0], stratum, row))
    return [row for _, _, row in sorted(keyed, key=lambda each: each[:2])]


def _values(job: Job, removed: DataFrame, by: str) -> DataFrame:
    """(id, kind): the value of a column, where it is one of the most frequent."""
    own = rows_as_embedded(job)
    check_columns(own.select(f"{s.SOURCE}.*"), [by], key="--by")
    value = legible(F.col(f"{s.SOURCE}.{s.quoted(by)}"))
    rows = held(removed.select(s.ID).join(own.select(s.ID, value.alias("value")), s.ID))
    sizes = rows.groupBy("value").count().orderBy(F.desc("count"), "value")
    top = [row[0] for row in sizes.limit(_MOST_VALUES).collect()]
    # A sign before values keeps them apart from the words for null and for the rest.
    named = F.col("value").isin([each for each in top if each is not None])
    kind = F.when(named, F.concat(F.lit("="), "value"))
    if None in top:
        kind = kind.when(F.col("value").isNull(), "(null)")
    return rows.select(s.ID, kind.otherwise(_OTHERS).alias(KIND))


def _guess(band: int) -> float:
    return _GUESSED[band] if band in _GUESSED else _GUESSED_OF_QUARTERS[band]


def stratum_name(drawn: Drawn, stratum: Stratum, by: str | None) -> str:
    """Name a group of removals for people.

    Parameters
    ----------
    drawn
        What was drawn.
    stratum
        The group.
    by
        The column whose values are groups, if one was named.

    Returns
    -------
    str
        Such as ``similarity 0.9625 to 0.975, pair``.
    """
    words = {
        COPIES_BAND: "equal vectors",
        UNCOVERED_BAND: "not covered",
    }
    step = (drawn.eps - drawn.nearest) / N_BANDS
    low = 1 - drawn.eps + stratum.band * step
    band = words.get(stratum.band, f"similarity {low:.4g} to {low + step:.4g}")
    if by is None:
        return f"{band}, {stratum.kind}"
    value = stratum.kind
    return f"{band}, {by} {named_value(value[1:]) if value.startswith('=') else value}"
