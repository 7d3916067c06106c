"""Work units: which rows are compared together, planned from the cluster sizes alone.

Small clusters are packed together up to a target cost. A cluster too big for one unit is cut into
*slots* by a hash of the vector, and each pair of slots (i, j <= i) is a unit: the tile (i, i)
compares a slot with itself, the tile (i, j) compares two slots. Every pair of rows of a cluster
meets in exactly one unit, however wrong the sizes were; wrong sizes only cost balance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.kmeans import LabelArray
from semdedup_spark.kernels.vectors import HashArray, IndexArray

SizeArray = npt.NDArray[np.int64]

# Comparing a row costs about this many multiply-adds per dimension before the first product.
_ROW_OVERHEAD = 200.0
# The work is cut into about this many units, of at least 2,000 and at most 28,000 rows compared
# with each other (seconds of one core). It does not follow the number of cores: the same sizes give
# the same units, hence the same bits, on every cluster.
_UNITS = 64
_SMALLEST_TARGET = 2e6
_LARGEST_TARGET = 4e8


@dataclass(frozen=True)
class UnitPlan:
    """``first_unit``, ``slots``: (k,) int64. A cluster with one slot lies wholly in its
    ``first_unit``; one with s > 1 slots owns the s * (s + 1) / 2 units from ``first_unit`` on.
    """

    first_unit: SizeArray
    slots: SizeArray
    n_units: int

    @property
    def has_tiles(self) -> bool:
        """Whether any cluster is cut, so that a row is scored in several units."""
        return bool((self.slots > 1).any())


@dataclass(frozen=True)
class Routes:
    """One entry per (row, unit it visits). ``row``: position in the input; ``unit``; ``slot``:
    the row's slot; ``across``: whether the unit compares two slots and not a slot with itself.
    """

    row: IndexArray
    unit: IndexArray
    slot: IndexArray
    across: npt.NDArray[np.bool_]


def plan_units(sizes: npt.ArrayLike, *, unit_rows: int) -> UnitPlan:
    """Plan the units for clusters of the given (perhaps estimated) sizes.

    ``sizes``: (k,) rows of each cluster; ``unit_rows``: most rows that a unit may hold (memory).
    """
    rows = np.maximum(np.asarray(sizes, dtype=np.float64), 1.0)
    if unit_rows < 2:
        raise ValueError(f"unit_rows must be >= 2. Got {unit_rows}.")
    costs = rows * (rows / 2 + _ROW_OVERHEAD)
    target = min(max(costs.sum() / _UNITS, _SMALLEST_TARGET), _LARGEST_TARGET)
    # A tile of two slots of r rows costs r * r products: r is bounded by cost and by memory.
    slot_rows = max(1.0, min(unit_rows / 2, math.sqrt(target)))
    too_big = (rows > unit_rows) | (costs > 2 * target)
    slots = np.where(too_big, np.ceil(rows / slot_rows), 1).astype(np.int64)
    first_unit, n_units = _pack_small(rows, costs, slots, unit_rows, target)
    cut = np.flatnonzero(slots > 1)
    tiles = slots[cut] * (slots[cut] + 1) // 2
    first_unit[cut] = n_units + np.r_[0, np.cumsum(tiles)[:-1]] if len(cut) else 0
    return UnitPlan(first_unit, slots, n_units + int(tiles.sum()))


def _pack_small(
    rows: npt.NDArray[np.float64],
    costs: npt.NDArray[np.float64],
    slots: SizeArray,
    unit_rows: int,
    target: float,
) -> tuple[SizeArray, int]:
    """Fill one unit after the other with uncut clusters, in order of their id."""
    first_unit = np.zeros(len(rows), dtype=np.int64)
    unit, unit_cost, filled = -1, math.inf, math.inf
    for cluster in np.flatnonzero(slots == 1):
        if unit_cost + costs[cluster] > target or filled + rows[cluster] > unit_rows:
            unit, unit_cost, filled = unit + 1, 0.0, 0.0
        first_unit[cluster] = unit
        unit_cost += costs[cluster]
        filled += rows[cluster]
    return first_unit, unit + 1


def route(labels: LabelArray, hashes: HashArray, plan: UnitPlan) -> Routes:
    """The units that each row visits. ``labels``: (n,) int32; ``hashes``: (n,) uint64, equal for
    equal vectors, so that exact duplicates share a slot.
    """
    slots = plan.slots[labels]
    slot = (hashes % slots.astype(np.uint64)).astype(np.int64)
    row = np.repeat(np.arange(len(labels), dtype=np.int64), slots)
    # other: for each visit of a row, the slot met there: 0, 1, ..., slots - 1
    other = np.arange(len(row)) - np.repeat(np.cumsum(slots) - slots, slots)
    high, low = np.maximum(slot[row], other), np.minimum(slot[row], other)
    unit = plan.first_unit[labels[row]] + high * (high + 1) // 2 + low
    return Routes(row, unit, slot[row], high != low)
