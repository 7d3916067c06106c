"""One work unit: rows of several clusters in rank order in, their scores out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.devices import block_rows, place
from semdedup_spark.kernels.score.routes import HOME, SECOND, RoleArray
from semdedup_spark.kernels.score.running_max import BELOW_ONE, NO_NEIGHBOR
from semdedup_spark.kernels.score.similarity import (
    EarlierSimilarity,
    max_earlier_similarity,
    max_earlier_similarity_across,
    max_similarity_to_earlier,
    merge_best,
)
from semdedup_spark.kernels.score.sketches import Pairs, choose_basis, pairs_above
from semdedup_spark.kernels.vectors import FloatArray, HashArray, IndexArray, first_of_equal_rows

# Pairs set aside before they are brought together.
_MOST_PAIRS = 1 << 20


@dataclass(frozen=True)
class UnitRowsInOrder:
    """The n rows of a unit, in rank order, over u distinct-or-not vectors.

    ``vectors``: (u, d) float32, unit rows, and ``hashes``: (u,) of them; ``vector``: (n,) int64,
    each row's position in ``vectors``; ``tile``, ``role``: (n,), see
    :class:`~kernels.score.routes.Routes`; ``is_target``: (n,) bool, the rows whose score is
    wanted, all of them where ``None``. The others are there to be compared with, and get none;
    ``others_only``: targets are compared with the others, and not with each other.
    """

    vectors: FloatArray
    hashes: HashArray
    vector: IndexArray
    tile: LabelArray
    role: RoleArray
    is_target: npt.NDArray[np.bool_] | None = None
    others_only: bool = False


@dataclass(frozen=True)
class UnitScores:
    """``best``: of each row, ``neighbor`` being a position in the unit; ``comparisons``: pairs."""

    best: EarlierSimilarity
    comparisons: int


def score_unit(
    rows: UnitRowsInOrder,
    *,
    above: float = 0.0,
    device: str = "cpu",
    block: int | None = None,
    half: bool = False,
    settled: bool = False,
) -> UnitScores:
    """M and neighbor of every row of the unit.

    Rows with equal vectors form a group: its first row stands for it in the products, and at home
    every other row gets exactly 1.0 and the first as its neighbor (design section 5, step 2);
    rows that differ, at most the number before 1.0.
    ``above``: similarities that are not greater count as none; ``device``: where to multiply;
    ``block``: rows at a time, by default what suits the device; ``half``: a GPU multiplies in
    float16, and what that leaves undecided is settled in float64; ``settled``: what float32 leaves
    undecided is, too, for results that do not depend on which rows are in the unit.
    """
    n = len(rows.tile)
    similarity = np.zeros(n, dtype=np.float32)
    neighbor = np.full(n, NO_NEIGHBOR, dtype=np.int64)
    wanted = np.ones(n, dtype=bool) if rows.is_target is None else rows.is_target
    head = heads_of_copies(rows)
    if rows.others_only:  # a target stands for no other
        head = np.where(wanted[head], np.arange(n), head)
    copies = np.flatnonzero((head != np.arange(n)) & (rows.role == HOME) & wanted)
    similarity[copies], neighbor[copies] = 1.0, head[copies]
    placed = place(rows.vectors, device, half=half)
    exact = rows.vectors if settled or (half and device != "cpu") else None
    found = _Found(placed, exact, rows.vector, similarity, neighbor)
    comparisons = 0
    for members in tiles_to_compare(rows.tile, np.flatnonzero(head == np.arange(n))):
        first = members[rows.role[members] != SECOND]
        second = members[rows.role[members] == SECOND]
        size = block or block_rows(device, len(members))
        at_home = rows.role[first[0]] == HOME if len(first) else False
        if rows.is_target is not None or rows.others_only:
            sides = [(first, first)] if at_home else []
            for targets, others in (*sides, (first, second), (second, first)):
                there = others[~wanted[others]] if rows.others_only else others
                comparisons += found.onto(targets[wanted[targets]], there, above, size)
            continue
        comparisons += len(first) * len(second)
        comparisons += len(first) * (len(first) - 1) // 2 if at_home else 0
        if found.sketched(first, second, above, at_home=at_home):
            continue
        if at_home and len(first) > 1:
            found.within(first, above, size)
        if len(first) and len(second):
            found.across(first, second, above, size)
    found.settle()
    # Or what is equal but for rounding would tie with an equal row.
    different = np.ones(n, dtype=bool)
    different[copies] = False
    np.minimum(similarity, BELOW_ONE, out=similarity, where=different)
    return UnitScores(EarlierSimilarity(similarity, neighbor), comparisons)


def heads_of_copies(rows: UnitRowsInOrder) -> IndexArray:
    """For each row the first one, in rank order, with the same vector in the same tile."""
    distinct = first_of_equal_rows(rows.vectors, rows.hashes)[rows.vector]
    group = rows.tile.astype(np.int64) * len(rows.vectors) + distinct
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)])


def tiles_to_compare(tile: LabelArray, heads: IndexArray) -> list[IndexArray]:
    """The heads of each tile with something to compare, in rank order."""
    order = heads[np.argsort(tile[heads], kind="stable")]
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    ends = np.r_[starts[1:], len(order)]
    several: npt.NDArray[np.bool_] = ends - starts > 1
    return [order[a:b] for a, b in zip(starts[several], ends[several], strict=True)]


@dataclass(frozen=True)
class _Found:
    """Where the results of the tiles come together. ``vectors`` lie on the computing device;
    ``exact``: the float32 ones where those are float16.
    """

    vectors: Any
    exact: FloatArray | None
    vector: IndexArray
    similarity: FloatArray
    neighbor: IndexArray
    pairs: list[Pairs] = field(default_factory=list)

    def within(self, rows: IndexArray, above: float, block: int) -> None:
        exact = None if self.exact is None else self.exact[self.vector[rows]]
        best = max_earlier_similarity(self._of(rows), above=above, exact=exact, block=block)
        self._store(best, rows, rows)

    def across(self, first: IndexArray, second: IndexArray, above: float, block: int) -> None:
        exact = None
        if self.exact is not None:
            exact = self.exact[self.vector[first]], self.exact[self.vector[second]]
        of_first, of_second = max_earlier_similarity_across(
            self._of(first), first, self._of(second), second, above=above, exact=exact, block=block
        )
        self._store(of_first, first, second)
        self._store(of_second, second, first)

    def onto(self, rows: IndexArray, others: IndexArray, above: float, block: int) -> int:
        """Compare each of ``rows`` with those of ``others`` that rank before it, whose scores
        stay; returns how many pairs that were.
        """
        if not len(rows) or not len(others):
            return 0
        A, B, exact = self._of(rows), self._of(others), None
        if self.exact is self.vectors:
            exact = A, B
        elif self.exact is not None:
            exact = self.exact[self.vector[rows]], self.exact[self.vector[others]]
        best = max_similarity_to_earlier(A, rows, B, others, above=above, exact=exact, block=block)
        self._store(best, rows, others)
        return int(np.searchsorted(others, rows).sum())

    def sketched(
        self, first: IndexArray, second: IndexArray, above: float, *, at_home: bool
    ) -> bool:
        """Compare by sketches where that is cheaper; whether it was done."""
        # A GPU makes a large product faster than it finds out which part of it is of use.
        if above <= 0 or not isinstance(self.vectors, np.ndarray) or self.exact is not None:
            return False
        within = len(first) * (len(first) - 1) // 2 if at_home else 0
        rows = np.concatenate([first, second])
        X = self._of(rows)
        basis = choose_basis(X, within + len(first) * len(second), above)
        if basis is None:
            return False
        a, b = X[: len(first)], X[len(first) :]
        if at_home:
            for pairs in pairs_above(a, first, None, None, basis, above):
                self._set_aside(pairs)
        for pairs in pairs_above(a, first, b, second, basis, above):
            self._set_aside(pairs)
        return True

    def _set_aside(self, pairs: Pairs) -> None:
        self.pairs.append(pairs)
        if sum(len(some.i) for some in self.pairs) > _MOST_PAIRS:
            self.settle()

    def settle(self) -> None:
        """Bring the pairs set aside into the result."""
        if not self.pairs:
            return
        i = np.concatenate([pairs.i for pairs in self.pairs])
        j = np.concatenate([pairs.j for pairs in self.pairs])
        later, earlier = np.maximum(i, j), np.minimum(i, j)
        similarity = np.concatenate([pairs.similarity for pairs in self.pairs])
        self.pairs.clear()
        order = np.lexsort((earlier, -similarity, later))
        best = order[np.diff(later[order], prepend=-1) > 0]
        found = EarlierSimilarity(similarity[best], earlier[best])
        merge_best(EarlierSimilarity(self.similarity, self.neighbor), later[best], found)

    def _of(self, rows: IndexArray) -> Any:
        return self.vectors[self.vector[rows]]

    def _store(self, best: EarlierSimilarity, rows: IndexArray, others: IndexArray) -> None:
        found = best.neighbor != NO_NEIGHBOR
        neighbors = others[best.neighbor[found]]
        merge_best(
            EarlierSimilarity(self.similarity, self.neighbor),
            rows[found],
            EarlierSimilarity(best.max_similarity[found], neighbors),
        )
