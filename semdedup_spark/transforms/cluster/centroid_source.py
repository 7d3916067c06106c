"""Centroids on their way to the workers: in the closure of each task, or read once by a worker."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from semdedup_spark.kernels.cluster.assign import Assigner, OneLevel, TwoLevels
from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.vectors import FloatArray, pack, unpack


class CentroidSource(Protocol):
    """Where a worker gets the centroids. Small when pickled or hashed, unless it holds them."""

    @property
    def n_clusters(self) -> int:
        """How many."""

    @property
    def dimension(self) -> int:
        """Numbers of each."""

    def __hash__(self) -> int:
        """By value, as equality is: a worker keeps what it has loaded."""

    def load(self) -> tuple[FloatArray, LabelArray | None]:
        """(k, d) float32 centroids; (k,) int32 cell of each, ``None`` with one level."""


@dataclass(frozen=True)
class CentroidsInClosure:
    """The centroids themselves; they travel with every task."""

    packed: bytes
    dimension: int
    packed_cells: bytes | None = None

    @classmethod
    def of(cls, centroids: FloatArray, cells: LabelArray | None = None) -> CentroidsInClosure:
        """``centroids``: (k, d); ``cells``: (k,)."""
        packed_cells = None if cells is None else cells.astype("<i4").tobytes()
        return cls(pack(centroids), centroids.shape[1], packed_cells)

    @property
    def n_clusters(self) -> int:
        """How many."""
        return len(self.packed) // (4 * self.dimension)

    def load(self) -> tuple[FloatArray, LabelArray | None]:
        """See :class:`CentroidSource`."""
        cells = self.packed_cells
        return (
            unpack(self.packed, self.dimension),
            None if cells is None else np.frombuffer(cells, dtype="<i4"),
        )


@functools.lru_cache(maxsize=2)
def assigner_of(source: CentroidSource) -> Assigner:
    """Made once in a process, for all tasks that it will run."""
    return make_assigner(*source.load())


def make_assigner(centroids: FloatArray, cells: LabelArray | None) -> Assigner:
    """Through two levels where there are cells, else by all centroids."""
    if cells is None or len(np.unique(cells)) < 2:
        return OneLevel(centroids)
    return TwoLevels(centroids, cells)


def on_device(assigner: OneLevel, device: str) -> Assigner:
    """The same on a GPU, if that is the ``device``."""
    if device == "cpu":
        return assigner
    from semdedup_spark.kernels.cluster.torch_lloyd import OneLevelOnDevice

    return OneLevelOnDevice(assigner.centroids, device)
