"""Assemble a :class:`Tuning` from counts, wherever the similarities lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.answers.tuning import CURVE_POINTS, Target, Threshold, Tuning
from semdedup_spark.errors import ConfigError

EPS_GRID = (0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
KEEP_GRID = (0.99, 0.95, 0.9, 0.8, 0.7, 0.63, 0.5, 0.4)
# The largest float32 below 1. A similarity above it is that of an exact copy.
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
_BINS = 50

Cells = Callable[[list[float]], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Similarities:
    """What can be asked of the similarities of n rows.

    Attributes
    ----------
    n
        Number of rows.
    cells
        Counts the rows between ascending edges: for e edges, (e + 1,) int64. A row is in the cell
        of the number of edges that lie strictly below its M.
    near_cells
        The same of the highest similarity of each row to a row before or after it.
    near_is_exact
        Whether ``near_cells`` knows all of them, or counts too few.
    quantiles
        For fractions f of the rows: for each the smallest M that at least f of the rows do not
        exceed, and the largest M under 1.
    """

    n: int
    cells: Cells
    near_cells: Cells
    near_is_exact: bool
    quantiles: Callable[[Sequence[float]], tuple[Sequence[float], float]]


def tuned(
    known: Similarities,
    *,
    eps_max: float,
    recall: str,
    selected: float | None,
    eps_grid: Sequence[float] = (),
    keep_grid: Sequence[float] = (),
) -> Tuning:
    """Count what thresholds would keep.

    Parameters
    ----------
    known
        The similarities.
    eps_max
        The horizon.
    recall
        How the similarities were found.
    selected
        The threshold in use, if any.
    eps_grid
        Thresholds in (0, 1), see :func:`check_grid`. By default a usual grid up to the horizon, and
        ``selected``.
    keep_grid
        Fractions of the rows for which an eps is sought. By default a usual grid.

    Returns
    -------
    Tuning
        The counts, not divided by the values of a column.
    """
    usual = {eps for eps in (*EPS_GRID, selected) if eps is not None and eps <= eps_max}
    grid = sorted(set(eps_grid) or usual)
    targets = _targets(known, sorted(set(keep_grid or KEEP_GRID), reverse=True), eps_max)
    evenly = {eps_max * i / CURVE_POINTS for i in range(CURVE_POINTS + 1)}
    curve = sorted(evenly | {eps for eps in grid if eps <= eps_max})
    bins = [i / _BINS for i in range(_BINS + 1)]
    met = [t.eps for t in targets if t.eps is not None]
    edges = sorted({1 - eps for eps in (*grid, *curve, *met)} | set(bins) | {BELOW_ONE})
    n = known.n
    counted = Counted(edges, known.cells(edges), n)
    near = Counted(edges, known.near_cells(edges), n)
    return Tuning(
        rows=n,
        copies=n - counted.up_to(BELOW_ONE),
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
        in_groups_exact=known.near_is_exact,
    )


@dataclass(frozen=True)
class Counted:
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
    cells: npt.NDArray[np.int64]
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


def check_grid(name: str, values: Sequence[float]) -> None:
    """Check thresholds or shares that were asked for.

    Parameters
    ----------
    name
        What they are called where they were given.
    values
        The values.

    Raises
    ------
    ConfigError
        One is not in (0, 1).
    """
    for value in values:
        if not 0 < value < 1:  # also false for NaN
            raise ConfigError(f"{name} must be in (0, 1). Got {value:g}.")


def _targets(known: Similarities, wanted: list[float], eps_max: float) -> list[Target]:
    if not known.n:
        return []
    quantiles, below_one = known.quantiles(wanted)
    found = []
    for keep, quantile in zip(wanted, quantiles, strict=True):
        if quantile >= 1.0:  # as select.keep does: only the copies go
            found.append(Target(keep, min(1 - below_one, eps_max), None, "copies"))
        elif quantile <= 0.0:
            found.append(Target(keep, None, None, "horizon"))
        else:
            eps = 1 - quantile
            found.append(Target(keep, eps, None, "horizon" if eps > eps_max else None))
    return found


def _reached(target: Target, counted: Counted) -> Target:
    if target.eps is None:
        return target
    return Target(target.wanted, target.eps, counted.kept(target.eps), target.limit)


def _histogram(counted: Counted, bins: list[float]) -> list[tuple[float, float, int]]:
    ends = [counted.up_to(edge) for edge in bins[1:]]
    starts = [0, *ends[:-1]]
    return [
        (low, high, end - start)
        for low, high, start, end in zip(bins, bins[1:], starts, ends, strict=False)
    ]
