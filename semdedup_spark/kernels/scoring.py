"""One work unit: rows of several clusters in rank order in, their scores out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.devices import block_rows, place
from semdedup_spark.kernels.kmeans import LabelArray
from semdedup_spark.kernels.routes import HOME, SECOND, RoleArray
from semdedup_spark.kernels.similarity import (
    NO_NEIGHBOR,
    EarlierSimilarity,
    max_earlier_similarity,
    max_earlier_similarity_across,
)
from semdedup_spark.kernels.vectors import FloatArray, HashArray, IndexArray, first_of_equal_rows


@dataclass(frozen=True)
class UnitRowsInOrder:
    """The n rows of a unit, in rank order, over u distinct-or-not vectors.

    ``vectors``: (u, d) float32, unit rows, and ``hashes``: (u,) of them; ``vector``: (n,) int64,
    each row's position in ``vectors``; ``tile``, ``role``: (n,), see
    :class:`semdedup_spark.kernels.routes.Routes`.
    """

    vectors: FloatArray
    hashes: HashArray
    vector: IndexArray
    tile: LabelArray
    role: RoleArray


@dataclass(frozen=True)
class UnitScores:
    """``best``: of each row, ``neighbor`` being a position in the unit; ``comparisons``: pairs."""

    best: EarlierSimilarity
    comparisons: int


def score_unit(
    rows: UnitRowsInOrder, *, above: float = 0.0, device: str = "cpu", block: int | None = None
) -> UnitScores:
    """M and neighbor of every row of the unit.

    Rows with equal vectors form a group: its first row stands for it in the products, and at home
    every other row gets exactly 1.0 and the first as its neighbor (design section 5, step 2).
    ``above``: similarities that are not greater count as none; ``device``: where to multiply;
    ``block``: rows at a time, by default what suits the device.
    """
    n = len(rows.tile)
    similarity = np.zeros(n, dtype=np.float32)
    neighbor = np.full(n, NO_NEIGHBOR, dtype=np.int64)
    head = _heads(rows)
    copies = np.flatnonzero((head != np.arange(n)) & (rows.role == HOME))
    similarity[copies], neighbor[copies] = 1.0, head[copies]
    found = _Found(place(rows.vectors, device), rows.vector, similarity, neighbor)
    comparisons, size = 0, block or block_rows(device)
    for members in _tiles(rows.tile, np.flatnonzero(head == np.arange(n))):
        first = members[rows.role[members] != SECOND]
        second = members[rows.role[members] == SECOND]
        if len(first) > 1 and rows.role[first[0]] == HOME:
            found.within(first, above, size)
            comparisons += len(first) * (len(first) - 1) // 2
        if len(first) and len(second):
            found.across(first, second, above, size)
            comparisons += len(first) * len(second)
    return UnitScores(EarlierSimilarity(similarity, neighbor), comparisons)


def _heads(rows: UnitRowsInOrder) -> IndexArray:
    """For each row the first one, in rank order, with the same vector in the same tile."""
    distinct = first_of_equal_rows(rows.vectors, rows.hashes)[rows.vector]
    group = rows.tile.astype(np.int64) * len(rows.vectors) + distinct
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)])


def _tiles(tile: LabelArray, heads: IndexArray) -> list[IndexArray]:
    """The heads of each tile with something to compare, in rank order."""
    order = heads[np.argsort(tile[heads], kind="stable")]
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    ends = np.r_[starts[1:], len(order)]
    several: npt.NDArray[np.bool_] = ends - starts > 1
    return [order[a:b] for a, b in zip(starts[several], ends[several], strict=True)]


@dataclass(frozen=True)
class _Found:
    """Where the results of the tiles come together. ``vectors`` lie on the computing device."""

    vectors: object
    vector: IndexArray
    similarity: FloatArray
    neighbor: IndexArray

    def within(self, rows: IndexArray, above: float, block: int) -> None:
        best = max_earlier_similarity(self._of(rows), above=above, block=block)
        self._store(best, rows, rows)

    def across(self, first: IndexArray, second: IndexArray, above: float, block: int) -> None:
        of_first, of_second = max_earlier_similarity_across(
            self._of(first), first, self._of(second), second, above=above, block=block
        )
        self._store(of_first, first, second)
        self._store(of_second, second, first)

    def _of(self, rows: IndexArray) -> object:
        return self.vectors[self.vector[rows]]  # type: ignore[index]

    def _store(self, best: EarlierSimilarity, rows: IndexArray, others: IndexArray) -> None:
        better = best.max_similarity > self.similarity[rows]
        # Of equal similarities the neighbor that ranks first wins: positions are in rank order.
        equal = (best.max_similarity == self.similarity[rows]) & (best.neighbor != NO_NEIGHBOR)
        candidates = others[best.neighbor]
        better |= equal & (candidates < self.neighbor[rows])
        self.similarity[rows[better]] = best.max_similarity[better]
        self.neighbor[rows[better]] = candidates[better]
