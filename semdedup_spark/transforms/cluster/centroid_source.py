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
        """Number of centroids, k."""

    @property
    def dimension(self) -> int:
        """Numbers in a centroid, d."""

    def __hash__(self) -> int:
        """Hash by value, as equality compares: a worker keeps what it has loaded.

        Returns
        -------
        int
            The hash.
        """

    def load(self) -> tuple[FloatArray, LabelArray | None]:
        """Load the centroids.

        Returns
        -------
        tuple[FloatArray, LabelArray | None]
            (k, d) float32 centroids, and (k,) int32 cell of each, ``None`` with one level.
        """


@dataclass(frozen=True)
class CentroidsInClosure:
    """The centroids themselves, which travel with every task.

    Attributes
    ----------
    packed
        k * d little-endian float32.
    dimension
        Numbers in a centroid, d.
    packed_cells
        k little-endian int32, ``None`` with one level.
    """

    packed: bytes
    dimension: int
    packed_cells: bytes | None = None

    @classmethod
    def of(cls, centroids: FloatArray, cells: LabelArray | None = None) -> CentroidsInClosure:
        """Pack centroids.

        Parameters
        ----------
        centroids
            (k, d) float32. Unit rows.
        cells
            (k,) int32. Cell of each centroid, ``None`` with one level.

        Returns
        -------
        CentroidsInClosure
            The packed centroids.
        """
        packed_cells = None if cells is None else cells.astype("<i4").tobytes()
        return cls(pack(centroids), centroids.shape[1], packed_cells)

    @property
    def n_clusters(self) -> int:
        """Number of centroids, k."""
        return len(self.packed) // (4 * self.dimension)

    def load(self) -> tuple[FloatArray, LabelArray | None]:
        """Unpack the centroids.

        Returns
        -------
        tuple[FloatArray, LabelArray | None]
            See :class:`CentroidSource`.
        """
        cells = self.packed_cells
        return (
            unpack(self.packed, self.dimension),
            None if cells is None else np.frombuffer(cells, dtype="<i4"),
        )


@functools.lru_cache(maxsize=2)
def assigner_of(source: CentroidSource) -> Assigner:
    """Return the assigner of this process, which is made once for all tasks that it will run.

    Parameters
    ----------
    source
        Where to find the centroids.

    Returns
    -------
    Assigner
        Assigns rows to the centroids.
    """
    return make_assigner(*source.load())


def make_assigner(centroids: FloatArray, cells: LabelArray | None) -> Assigner:
    """Make an assigner.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    cells
        (k,) int32. Cell of each centroid, ``None`` with one level.

    Returns
    -------
    Assigner
        Goes through cells if there are several, else compares with all centroids.
    """
    if cells is None or len(np.unique(cells)) < 2:
        return OneLevel(centroids)
    return TwoLevels(centroids, cells)


def on_device(assigner: OneLevel, device: str) -> Assigner:
    """Move an assigner to a device.

    Parameters
    ----------
    assigner
        Compares with all centroids.
    device
        ``cpu``, or a GPU as torch names it.

    Returns
    -------
    Assigner
        The same assigner, on the device.
    """
    if device == "cpu":
        return assigner
    from semdedup_spark.kernels.cluster.torch_lloyd import OneLevelOnDevice

    return OneLevelOnDevice(assigner.centroids, device)
