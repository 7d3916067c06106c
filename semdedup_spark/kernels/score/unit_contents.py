"""The rows of one work unit, and the groups in which they are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.routes import RoleArray
from semdedup_spark.kernels.vectors import FloatArray, HashArray, IndexArray, first_of_equal_rows


@dataclass(frozen=True)
class UnitRowsInOrder:
    """The n rows of a unit, in rank order, over u vectors, which may repeat.

    Attributes
    ----------
    vectors
        (u, d) float32. Unit rows.
    hashes
        (u,) uint64. Hashes of the vectors.
    vector
        (n,) int64. Position in ``vectors`` of each row's vector.
    tile
        (n,) int32. See :class:`semdedup_spark.kernels.score.routes.Routes`.
    role
        (n,) int8. See :class:`semdedup_spark.kernels.score.routes.Routes`.
    is_target
        (n,) bool. Rows whose score is wanted, ``None`` for all rows. The others are only compared
        with these, and get no score.
    others_only
        Whether targets are compared only with the other rows, and not with each other.
    """

    vectors: FloatArray
    hashes: HashArray
    vector: IndexArray
    tile: LabelArray
    role: RoleArray
    is_target: npt.NDArray[np.bool_] | None = None
    others_only: bool = False


def heads_of_copies(rows: UnitRowsInOrder) -> IndexArray:
    """Find for each row the first row, in rank order, with the same vector in the same tile.

    Parameters
    ----------
    rows
        The n rows of a unit.

    Returns
    -------
    ndarray
        (n,) int64. Position of that row; the row's own position where it is the first.
    """
    distinct = first_of_equal_rows(rows.vectors, rows.hashes)[rows.vector]
    group = rows.tile.astype(np.int64) * len(rows.vectors) + distinct
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)])


def tiles_to_compare(tile: LabelArray, heads: IndexArray) -> list[IndexArray]:
    """List the heads of each tile that has at least two.

    Parameters
    ----------
    tile
        (n,) int32. Tile of each row.
    heads
        (h,) int64, ascending. Positions of the rows that represent their equals.

    Returns
    -------
    list[ndarray]
        For each tile, (m,) int64 positions of its heads in rank order.
    """
    order = heads[np.argsort(tile[heads], kind="stable")]
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    ends = np.r_[starts[1:], len(order)]
    several: npt.NDArray[np.bool_] = ends - starts > 1
    return [order[a:b] for a, b in zip(starts[several], ends[several], strict=True)]
