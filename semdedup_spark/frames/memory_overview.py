"""What thresholds would keep, and what a report shows, of a result in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
)
from semdedup_spark.answers.tuned import Similarities, check_grid, tuned
from semdedup_spark.answers.tuning import Tuning
from semdedup_spark.frames.given_rows import GivenRows
from semdedup_spark.frames.removals import Removals
from semdedup_spark.in_memory.score import VectorScores
from semdedup_spark.kernels.quotas import least_rows


def tuning_of(
    scores: VectorScores, eps: float, *, alone: bool, eps_grid: Sequence[float] = ()
) -> Tuning:
    """Count what thresholds would keep.

    Parameters
    ----------
    scores
        The scores of the rows.
    eps
        The threshold in use.
    alone
        Whether neighbors are rows of the same table, not of a reference.
    eps_grid
        Thresholds; by default a usual grid.

    Returns
    -------
    Tuning
        As ``semdedup tune`` counts it.
    """
    check_grid("eps", eps_grid)
    M = scores.max_similarity.astype(np.float64)
    near = M.copy()
    if alone:
        found = scores.neighbor >= 0
        np.maximum.at(near, scores.neighbor[found], M[found])
    in_order = np.sort(M)

    def quantiles(fractions: Sequence[float]) -> tuple[list[float], float]:
        places = [least_rows(f, len(M)) - 1 for f in fractions]
        below_one = float(M[M < 1.0].max(initial=0.0))
        return [float(in_order[max(place, 0)]) for place in places], below_one

    known = Similarities(
        len(M),
        lambda edges: _cells(M, edges),
        lambda edges: _cells(near, edges),
        not alone,
        quantiles,
    )
    return tuned(known, eps_max=scores.eps_max, recall="exact", selected=eps, eps_grid=eps_grid)


def _cells(values: npt.NDArray[np.float64], edges: list[float]) -> npt.NDArray[np.int64]:
    below = np.searchsorted(np.array(edges), values, side="left")
    return np.bincount(below, minlength=len(edges) + 1).astype(np.int64)


def overview_of(
    own: GivenRows,
    others: GivenRows | None,
    scores: VectorScores,
    removals: Removals,
    reasons: Sequence[str | None],
    eps: float,
) -> Overview:
    """Collect what a report shows.

    Parameters
    ----------
    own
        The rows.
    others
        Those of the reference, if any.
    scores
        The scores of the rows.
    removals
        The rows that are removed.
    reasons
        Why a row has no vector, for each row that was given.
    eps
        The threshold.

    Returns
    -------
    Overview
        As that of a job, without a ledger.
    """
    before = others or own
    groups = _groups(own, before, removals)
    quarantined = sum(reason is not None for reason in reasons)
    edge = np.argsort(removals.similarity, kind="stable")[:EDGES]
    uncovered = np.flatnonzero(removals.to_survivor.astype(np.float64) <= 1 - eps)
    drawn = np.random.default_rng(0).permutation(uncovered)[:UNCOVERED]
    shown = sorted({int(i) for i in (*edge, *drawn)})
    rows = {i: own.shown(removals.row[i]) for i in shown}
    survivors = {i: before.shown(removals.survivor[i]) for i in shown}
    pairs = {i: _example(rows[i], survivors[i], before, removals, i, eps) for i in shown}
    return Overview(
        output="a table in memory",
        selection=None,
        resolution="paper",
        eps=eps,
        counts={
            "read": len(own.rows),
            "kept": len(own.good) - len(removals.row),
            "removed": len(removals.row),
            "quarantined": quarantined,
            "uncovered": len(uncovered),
        },
        tuning=tuning_of(scores, eps, alone=others is None),
        n_groups=len(np.unique(removals.survivor)),
        cluster_sizes=_counts(scores.labels),
        removed_per_cluster=_counts(scores.labels[removals.row]),
        largest=groups[:LARGEST],
        drawn=groups[LARGEST:],
        edges=[pairs[i] for i in edge],
        uncovered=[pairs[i] for i in drawn],
        reasons=_reasons(own, reasons),
        lineage=[],
        settings={},
        software={},
        pictures={row.id: row.picture for row in rows.values() if row.picture},
        survivor_pictures={row.id: row.picture for row in survivors.values() if row.picture},
        columns={row.id: row.columns for row in rows.values()},
        survivor_columns={row.id: row.columns for row in survivors.values()},
        has_reference=others is not None,
    )


def _counts(labels: npt.NDArray[np.int32]) -> list[int]:
    return [int(n) for n in np.unique(labels, return_counts=True)[1]]


def _example(
    row: Shown, survivor: Shown, before: GivenRows, gone: Removals, i: int, eps: float
) -> Example:
    to_survivor = float(gone.to_survivor[i])
    return Example(
        row.id,
        row.text,
        survivor.id,
        survivor.text,
        float(gone.similarity[i]),
        str(before.id_of(gone.neighbor[i])),
        to_survivor,
        to_survivor > 1 - eps,
    )


def _groups(own: GivenRows, before: GivenRows, gone: Removals) -> list[Group]:
    """The largest groups, and some of the others; the largest first."""
    survivors, sizes = np.unique(gone.survivor, return_counts=True)
    largest = np.lexsort((survivors, -sizes))
    rest = np.random.default_rng(0).permutation(largest[LARGEST:])[:DRAWN_GROUPS]
    groups = []
    for at in (*largest[:LARGEST], *rest):
        members = np.flatnonzero(gone.survivor == survivors[at])
        members = members[np.argsort(gone.to_survivor[members], kind="stable")][:MEMBERS]
        shown = [own.shown(gone.row[i], float(gone.to_survivor[i])) for i in members]
        groups.append(Group(before.shown(survivors[at]), shown, int(sizes[at])))
    return groups


def _reasons(own: GivenRows, reasons: Sequence[str | None]) -> list[Reason]:
    first = {reason: i for i, reason in reversed(list(enumerate(reasons))) if reason}
    counts = Counter(reason for reason in reasons if reason)
    return [Reason(name, n, str(own.ids[first[name]]), "") for name, n in counts.most_common()]
