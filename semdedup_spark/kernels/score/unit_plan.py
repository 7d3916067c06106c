"""Work units: which rows are compared together, planned from the cluster sizes alone.

Small clusters are packed together up to a target cost. A cluster too large for one unit is cut into
*tiles*, each a unit of its own. Its members fall into *slots* by a hash of the vector. Its probes,
which are the rows of other clusters that visit it, fall into probe slots. Tile (i, i) compares a
slot with itself, and tile (i, j) compares two slots with each other. One more tile for each slot
and probe slot compares the members with the probes. Every pair of members, and every probe and
member, meet in exactly one unit, however wrong the sizes were. Wrong sizes only worsen the balance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SizeArray = npt.NDArray[np.int64]
_Costs = npt.NDArray[np.float64]

# Fixed cost of a row in a unit, in comparisons of two rows.
_ROW_OVERHEAD = 200.0
# The work is cut into about this many units, where it is large. A unit costs as much as 9,000 to
# 28,000 rows compared with each other, which is one to some ten seconds of one core. Smaller units
# would gain little, and each vector would travel to more of them. The number of units does not
# depend on the number of cores, so the same sizes give the same units, and thus the same bits, on
# every cluster.
_UNITS = 64
_SMALLEST_TARGET = 4e7
_LARGEST_TARGET = 4e8


@dataclass(frozen=True)
class UnitPlan:
    """The units of k clusters.

    A cluster with one slot and no probe slot is whole: its members and probes lie in its
    ``first_unit``, which other clusters may share. A cluster with s slots and p probe slots owns
    the s * (s + 1) / 2 + s * p units from its ``first_unit`` on.

    Attributes
    ----------
    first_unit
        (k,) int64. Number of each cluster's first unit.
    slots
        (k,) int64. Slots of each cluster's members.
    probe_slots
        (k,) int64. Slots of each cluster's probes.
    n_units
        Number of units.
    """

    first_unit: SizeArray
    slots: SizeArray
    probe_slots: SizeArray
    n_units: int

    @property
    def has_tiles(self) -> bool:
        """Whether any cluster is cut, so that a row is scored in several units."""
        return bool(((self.slots > 1) | (self.probe_slots > 0)).any())


def one_unit(n_clusters: int) -> UnitPlan:
    """Plan a single unit in which each cluster is a tile of its own.

    Parameters
    ----------
    n_clusters
        Number of clusters.

    Returns
    -------
    UnitPlan
        The plan.
    """
    none = np.zeros(n_clusters, dtype=np.int64)
    return UnitPlan(none, none + 1, none, 1)


def plan_units(
    sizes: npt.ArrayLike,
    *,
    unit_rows: int,
    probes: npt.ArrayLike | None = None,
    targets: npt.ArrayLike | None = None,
) -> UnitPlan:
    """Plan the units for clusters of given, possibly estimated, sizes.

    Parameters
    ----------
    sizes
        (k,) numbers. Rows of each cluster.
    unit_rows
        Most rows that a unit may hold, for its memory; at least 2.
    probes
        (k,) numbers. Rows that visit each cluster, ``None`` where none do.
    targets
        (k,) numbers. Rows of each cluster whose score is wanted, ``None`` for all of them.

    Returns
    -------
    UnitPlan
        The plan.

    Raises
    ------
    ValueError
        If ``unit_rows`` is less than 2.
    """
    if unit_rows < 2:
        raise ValueError(f"unit_rows must be >= 2. Got {unit_rows}.")
    rows = np.maximum(np.asarray(sizes, dtype=np.float64), 1.0)
    visitors = np.zeros_like(rows) if probes is None else np.asarray(probes, dtype=np.float64)
    own = rows / 2 if targets is None else np.asarray(targets, dtype=np.float64)
    costs = rows * (own + visitors + _ROW_OVERHEAD) + visitors * _ROW_OVERHEAD
    target = min(max(costs.sum() / _UNITS, _SMALLEST_TARGET), _LARGEST_TARGET)
    # A tile of two slots of r rows costs r * r products, so cost and memory both limit r.
    slot_rows = max(1.0, min(unit_rows / 2, math.sqrt(target)))
    cut = (rows + visitors > unit_rows) | (costs > 2 * target)
    slots = np.where(cut, np.ceil(rows / slot_rows), 1).astype(np.int64)
    # Probes may appear where the estimate saw none, so each cut cluster has a probe slot for them.
    wanted = 0 if probes is None else np.maximum(np.ceil(visitors / slot_rows), 1)
    probe_slots = np.where(cut, wanted, 0).astype(np.int64)
    first_unit, n_units = _pack_whole(rows + visitors, costs, ~cut, unit_rows, target)
    tiles = np.where(cut, slots * (slots + 1) // 2 + slots * probe_slots, 0)
    first_unit = np.where(cut, n_units + np.cumsum(tiles) - tiles, first_unit)
    return UnitPlan(first_unit, slots, probe_slots, n_units + int(tiles.sum()))


def _pack_whole(
    rows: _Costs, costs: _Costs, whole: npt.NDArray[np.bool_], unit_rows: int, target: float
) -> tuple[SizeArray, int]:
    """Fill one unit after the other with uncut clusters, in the order of their numbers."""
    first_unit = np.zeros(len(rows), dtype=np.int64)
    unit, unit_cost, filled = -1, math.inf, math.inf
    for cluster in np.flatnonzero(whole):
        if unit_cost + costs[cluster] > target or filled + rows[cluster] > unit_rows:
            unit, unit_cost, filled = unit + 1, 0.0, 0.0
        first_unit[cluster] = unit
        unit_cost += costs[cluster]
        filled += rows[cluster]
    return first_unit, unit + 1
