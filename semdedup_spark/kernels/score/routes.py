"""Which units a row visits, and its role in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.unit_plan import SizeArray, UnitPlan
from semdedup_spark.kernels.vectors import HashArray, IndexArray

RoleArray = npt.NDArray[np.int8]
# At home a row is compared with the rows of its own cluster and slot, and with all second rows.
HOME = 0
# In other units the first rows are compared with the second rows.
FIRST = 1
SECOND = 2


@dataclass(frozen=True)
class Routes:
    """One entry for each (row, unit that it visits). A row is at home in exactly one unit.

    Attributes
    ----------
    row
        (m,) int64. Position of the row in the input.
    unit
        (m,) int64. Number of the unit.
    tile
        (m,) int32. Cluster whose rows the row meets there. A unit has one tile of a cluster.
    role
        (m,) int8. ``HOME``, ``FIRST`` or ``SECOND``.
    """

    row: IndexArray
    unit: IndexArray
    tile: LabelArray
    role: RoleArray


@dataclass(frozen=True)
class Visits:
    """Visits of rows to clusters that are not their own.

    Attributes
    ----------
    row
        (m,) int64. Position of the row.
    cluster
        (m,) int32. The cluster that it visits.
    """

    row: IndexArray
    cluster: LabelArray


def route(
    labels: LabelArray,
    hashes: HashArray,
    plan: UnitPlan,
    *,
    travels: npt.NDArray[np.bool_] | None = None,
    probes: Visits | None = None,
) -> Routes:
    """Find the units that each row visits.

    Parameters
    ----------
    labels
        (n,) int32. Cluster of each row.
    hashes
        (n,) uint64. Hashes of the vectors. Equal vectors have equal hashes, so that exact
        duplicates share a slot.
    plan
        The work units.
    travels
        (n,) bool. False for a row that is represented by another row with the same vector; it only
        goes home. ``None`` where all rows travel.
    probes
        Visits to other clusters, ``None`` where there are none.

    Returns
    -------
    Routes
        All visits to units.
    """
    slot = _slot(hashes, plan.slots[labels])
    home = Routes(
        np.arange(len(labels), dtype=np.int64),
        plan.first_unit[labels] + _triangle(slot, slot),
        labels,
        np.full(len(labels), HOME, dtype=np.int8),
    )
    rows = home.row if travels is None else home.row[travels]
    parts = [
        home,
        _to_other_slots(rows, labels, slot, plan),
        _to_probe_slots(rows, labels, slot, plan),
    ]
    if probes is not None:
        kept = slice(None) if travels is None else travels[probes.row]
        parts.append(_as_probes(probes.row[kept], probes.cluster[kept], hashes, plan))
    return Routes(
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.tile for part in parts]),
        np.concatenate([part.role for part in parts]),
    )


def home_units(cluster: int, plan: UnitPlan) -> SizeArray:
    """List the units in which the members of a cluster are at home.

    Parameters
    ----------
    cluster
        Number of the cluster.
    plan
        The work units.

    Returns
    -------
    ndarray
        (s,) int64. Numbers of units, one for each slot of the cluster.
    """
    slot = np.arange(plan.slots[cluster])
    return np.asarray(plan.first_unit[cluster] + _triangle(slot, slot))


def _slot(hashes: HashArray, slots: SizeArray) -> IndexArray:
    return (hashes % np.maximum(slots, 1).astype(np.uint64)).astype(np.int64)


def _triangle(high: IndexArray, low: IndexArray) -> IndexArray:
    return high * (high + 1) // 2 + low


def _repeat(counts: SizeArray) -> tuple[IndexArray, IndexArray]:
    """Enumerate (i, 0), (i, 1), ... up to ``counts[i]`` pairs for each entry i."""
    entry = np.repeat(np.arange(len(counts)), counts)
    return entry, np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts)


def _to_other_slots(
    rows: IndexArray, labels: LabelArray, slot: IndexArray, plan: UnitPlan
) -> Routes:
    entry, turn = _repeat(plan.slots[labels[rows]] - 1)
    row = rows[entry]
    other = turn + (turn >= slot[row])  # all slots but the own
    unit = plan.first_unit[labels[row]] + _triangle(
        np.maximum(slot[row], other), np.minimum(slot[row], other)
    )
    role = np.where(slot[row] < other, FIRST, SECOND).astype(np.int8)
    return Routes(row, unit, labels[row], role)


def _to_probe_slots(
    rows: IndexArray, labels: LabelArray, slot: IndexArray, plan: UnitPlan
) -> Routes:
    entry, probe_slot = _repeat(plan.probe_slots[labels[rows]])
    row = rows[entry]
    unit = _probe_tile(labels[row], slot[row], probe_slot, plan)
    return Routes(row, unit, labels[row], np.full(len(row), FIRST, dtype=np.int8))


def _as_probes(row: IndexArray, cluster: LabelArray, hashes: HashArray, plan: UnitPlan) -> Routes:
    cut = plan.probe_slots[cluster] > 0
    entry, slot = _repeat(np.where(cut, plan.slots[cluster], 1))
    row, cluster, cut = row[entry], cluster[entry], cut[entry]
    probe_slot = _slot(hashes[row], plan.probe_slots[cluster])
    tile = _probe_tile(cluster, slot, probe_slot, plan)
    unit = np.where(cut, tile, plan.first_unit[cluster])
    return Routes(row, unit, cluster, np.full(len(row), SECOND, dtype=np.int8))


def _probe_tile(
    cluster: LabelArray, slot: IndexArray, probe_slot: IndexArray, plan: UnitPlan
) -> IndexArray:
    members = _triangle(plan.slots[cluster], np.zeros(len(cluster), dtype=np.int64))
    return np.asarray(
        plan.first_unit[cluster] + members + slot * plan.probe_slots[cluster] + probe_slot
    )
