"""Who is compared with whom: three small values that the stage plans and the transforms obey.

A :class:`Comparison` says how rows are compared. A scope says whose scores are wanted. A carrier
says how the rows that must meet are brought together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.borders import Probing
from semdedup_spark.kernels.score.unit_plan import UnitPlan, one_unit
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource
from semdedup_spark.transforms.score.packed_rows import PackedTargets


@dataclass(frozen=True)
class Everyone:
    """The scores of all rows are wanted.

    Attributes
    ----------
    n
        Number of rows.
    """

    n: int


@dataclass(frozen=True)
class Targets:
    """Only the scores of the rows with a true column ``target`` are wanted.

    Targets are compared with each other and with all other rows.

    Attributes
    ----------
    n
        Number of targets.
    """

    n: int


@dataclass(frozen=True)
class AgainstReference:
    """As :class:`Targets`, but targets are compared with the other rows only.

    Attributes
    ----------
    n
        Number of targets.
    """

    n: int


Scope: TypeAlias = Everyone | Targets | AgainstReference


@dataclass(frozen=True)
class Comparison:
    """How rows are compared, whichever rows these are.

    Attributes
    ----------
    centroids
        Where tasks find the (k, d) centroids.
    rank_by
        The rank order: ``low``, ``high``, ``random`` or terms of SQL.
    probing
        How far rows visit other clusters. ``None`` compares rows within their clusters only.
    all_with_all
        Whether all rows are compared regardless of their clusters, because visits would cost
        more. A row's tile is then its cluster modulo the number of clusters in the unit plan.
    device
        Device for matrix products, see :func:`~transforms.worker.compute_device`.
    half
        Whether a GPU multiplies in float16 first.
    seed
        Seed of the rank order ``random``.
    backwards
        Whether each row is compared with the rows that rank after it instead of before it.
    """

    centroids: CentroidSource
    rank_by: str
    probing: Probing | None = None
    all_with_all: bool = False
    device: str = "cpu"
    half: bool = False
    seed: int = 0
    backwards: bool = False

    @property
    def is_budgeted(self) -> bool:
        """Whether the number of visits of a row is limited."""
        return self.probing is not None and self.probing.budget is not None

    @property
    def has_visits(self) -> bool:
        """Whether rows visit other clusters because a border is near."""
        return self.probing is not None and not self.all_with_all

    @property
    def knows_all(self) -> bool:
        """Whether no pair above the horizon can be missed."""
        exact = self.probing is not None and not self.is_budgeted
        return exact or self.all_with_all or self.centroids.n_clusters == 1

    @property
    def above(self) -> float:
        """Similarities up to this one count as none: not all of them are known."""
        if self.probing is None:
            return 0.0
        horizon = np.float32(1.0 - self.probing.eps_max)
        return float(np.nextafter(horizon, np.float32(0)))

    def visits_alone(self, scope: Scope) -> bool:
        """Whether only targets visit other clusters, and therefore visit twice as far.

        With a probe budget every row visits, so that the budget drops the same visits as in a
        run over all rows.

        Parameters
        ----------
        scope
            Whose scores are wanted.

        Returns
        -------
        bool
            Whether the rows that are no targets stay in their clusters.
        """
        return not isinstance(scope, Everyone) and not self.is_budgeted

    def within_units(self) -> Comparison:
        """The same comparison for tasks that receive assigned rows.

        Centroids of up to 16 MiB travel with each task that mentions them. Only a probe budget
        makes them necessary after rows are assigned.

        Returns
        -------
        Comparison
            Without the centroids unless there is a budget.
        """
        if self.is_budgeted and not self.knows_all:
            return self
        shape = _CentroidsLeftBehind(self.centroids.n_clusters, self.centroids.dimension)
        return replace(self, centroids=shape)


@dataclass(frozen=True)
class _CentroidsLeftBehind:
    # A centroid source of which a task needs the shape only.
    n_clusters: int
    dimension: int

    def load(self) -> tuple[FloatArray, LabelArray | None]:
        raise RuntimeError("a task that receives assigned rows needs no centroids")


@dataclass(frozen=True)
class Units:
    """Carrier: a shuffle brings rows to the work units that they visit.

    Attributes
    ----------
    plan
        Which clusters share a unit, and which are cut into several.
    keys
        (units,) int32. Value of the column ``unit`` for each unit. These values spread the units
        evenly over the tasks.
    n_tasks
        Number of Spark tasks.
    met
        (k,) bool. Clusters in which a target is compared: rows of other clusters that are no
        targets are left out. ``None`` if no row may be left out.
    """

    plan: UnitPlan
    keys: npt.NDArray[np.int32]
    n_tasks: int
    met: npt.NDArray[np.bool_] | None = None

    @property
    def n_units(self) -> int:
        """Number of units that rows are shuffled to."""
        return self.plan.n_units

    @classmethod
    def single(cls, comparison: Comparison, met: npt.NDArray[np.bool_] | None = None) -> Units:
        """One unit that holds every cluster as a tile of its own.

        Parameters
        ----------
        comparison
            How rows are compared. If that is all with all, there is one tile only.
        met
            (k,) bool. As the attribute of this name.

        Returns
        -------
        Units
            The unit, in one task.
        """
        n_tiles = 1 if comparison.all_with_all else comparison.centroids.n_clusters
        return cls(one_unit(n_tiles), np.zeros(1, dtype=np.int32), 1, met)


@dataclass(frozen=True)
class Broadcast:
    """Carrier: all targets travel to every task that reads the other rows.

    Attributes
    ----------
    targets
        The targets, packed for ``packing``.
    packing
        The single unit that the other rows are packed for, within each task.
    unit_rows
        Most rows that a task holds at a time.
    """

    targets: PackedTargets
    packing: Units
    unit_rows: int

    @property
    def met(self) -> npt.NDArray[np.bool_] | None:
        """(k,) bool. Clusters in which a target is compared, ``None`` for all."""
        return self.packing.met

    @property
    def n_units(self) -> int:
        """Number of units that rows are shuffled to: none."""
        return 0


Carrier: TypeAlias = Units | Broadcast
