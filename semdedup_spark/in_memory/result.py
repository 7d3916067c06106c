"""What is kept and what is removed of a table in memory, at any threshold up to the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semdedup_spark.errors import HorizonError, UnknownRowError
from semdedup_spark.in_memory.explanation import Explained, Link
from semdedup_spark.in_memory.rows import Rows
from semdedup_spark.in_memory.score import VectorScores
from semdedup_spark.kernels.vectors import FloatArray, IndexArray

KEPT, SIMILARITY, QUARANTINED = "kept", "similarity", "quarantined"


@dataclass(frozen=True)
class Deduplicated:
    """The result of :func:`semdedup_spark.deduplicate` for a table in memory.

    ``kept`` + ``removed`` + ``quarantined`` are the rows that were given.

    Attributes
    ----------
    rows
        The n rows that were given.
    ids
        n ids.
    good
        (m,) int64. Positions of the rows that have a vector.
    X
        (m, d) float32. Their unit vectors.
    scores
        Their scores. Neighbors are positions among these m rows, or among ``others``.
    reasons
        n entries. Why a row has no vector, otherwise ``None``.
    eps
        The threshold.
    others
        With a reference: its ids and unit vectors. Neighbors are its rows.
    """

    rows: Rows
    ids: Sequence[Any]
    good: IndexArray
    X: FloatArray = field(repr=False)
    scores: VectorScores = field(repr=False)
    reasons: Sequence[str | None] = field(repr=False)
    eps: float
    others: tuple[Sequence[Any], FloatArray] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return int(self._kept.sum())

    def __repr__(self) -> str:
        n, kept, good = len(self.rows), len(self), len(self.good)
        return (
            f"Deduplicated(read={n}, kept={kept}, removed={good - kept}, "
            f"quarantined={n - good}, eps={self.eps:g})"
        )

    @cached_property
    def _kept(self) -> npt.NDArray[np.bool_]:
        return self.scores.kept(self.eps)

    @cached_property
    def _survivor(self) -> IndexArray:
        """(m,) positions among the good rows, or among those of the reference; -1: kept there."""
        survivor: IndexArray = np.where(
            self._kept, np.arange(len(self._kept)), self.scores.neighbor
        )
        if self.others is not None:
            return np.where(self._kept, -1, self.scores.neighbor)
        while True:  # neighbors rank before, so each round comes nearer to the end of all chains
            further = survivor[survivor]
            if np.array_equal(further, survivor):
                return survivor
            survivor = further

    @cached_property
    def _good_ids(self) -> list[Any]:
        return [self.ids[i] for i in self.good]

    @cached_property
    def _before(self) -> tuple[Sequence[Any], FloatArray]:
        """Ids and vectors of the rows that neighbors and survivors are among."""
        return self.others or (self._good_ids, self.X)

    def _direct(self) -> npt.NDArray[np.float32]:
        """Cosine similarity of each removed row to its survivor."""
        gone, (_, X) = np.flatnonzero(~self._kept), self._before
        products = np.einsum("ij,ij->i", self.X[gone], X[self._survivor[gone]], dtype=np.float64)
        direct: npt.NDArray[np.float32] = products.astype(np.float32)
        return direct

    @property
    def kept(self) -> Any:
        """The rows that stay, in the order given, of the kind that was given."""
        return self.rows.take(self.good[self._kept])

    @property
    def removed(self) -> Any:
        """A table of the removed rows: id, neighbor_id, survivor_id, similarity,
        survivor_similarity and cluster_id, as the job's table ``duplicates`` has them.
        """
        gone = np.flatnonzero(~self._kept)
        survivor = self._survivor[gone]
        theirs, _ = self._before
        return self.rows.like(
            {
                "id": [self._good_ids[i] for i in gone],
                "neighbor_id": [theirs[i] for i in self.scores.neighbor[gone]],
                "survivor_id": [theirs[i] for i in survivor],
                "similarity": self.scores.max_similarity[gone],
                "survivor_similarity": self._direct(),
                "cluster_id": self.scores.labels[gone],
            }
        )

    @property
    def quarantined(self) -> Any:
        """A table of the rows without a vector: id and reason."""
        bad = [i for i, reason in enumerate(self.reasons) if reason is not None]
        return self.rows.like(
            {"id": [self.ids[i] for i in bad], "reason": [self.reasons[i] for i in bad]}
        )

    @property
    def assignment(self) -> Any:
        """A table of all rows: id, kept, survivor_id (itself where kept), similarity to the
        nearest row before it, survivor_similarity, copies (rows that a kept row stands for, itself
        included), cluster_id and reason (kept, similarity or quarantined).
        """
        n, place = len(self.rows), self.good
        kept = np.zeros(n, dtype=bool)
        kept[place] = self._kept
        survivor: list[Any] = [None] * n
        theirs, _ = self._before
        for row, end in zip(place.tolist(), self._survivor.tolist(), strict=True):
            survivor[row] = self.ids[row] if end < 0 else theirs[end]
        to_survivor = np.ones(len(place), dtype=np.float32)
        to_survivor[~self._kept] = self._direct()
        copies = np.ones(len(place), dtype=np.int64)
        if self.others is None:
            copies = np.bincount(self._survivor, minlength=len(place))
        numbers = {
            "similarity": self.scores.max_similarity,
            "survivor_similarity": to_survivor,
            "cluster_id": self.scores.labels,
        }
        spread = {name: _spread(n, place, values) for name, values in numbers.items()}
        return self.rows.like(
            {
                "id": list(self.ids),
                "kept": kept,
                "survivor_id": survivor,
                "similarity": spread["similarity"],
                "survivor_similarity": spread["survivor_similarity"],
                "copies": _spread(n, place[self._kept], copies[self._kept]),
                "cluster_id": spread["cluster_id"],
                "reason": [
                    QUARANTINED if reason else (KEPT if stays else SIMILARITY)
                    for reason, stays in zip(self.reasons, kept.tolist(), strict=True)
                ],
            }
        )

    def at(self, eps: float) -> Deduplicated:
        """Select at another threshold. Nothing is encoded or compared again.

        Parameters
        ----------
        eps
            The threshold, above 0 and at most ``eps_max``.

        Returns
        -------
        Deduplicated
            The same rows at this threshold.
        """
        self.scores.kept(eps)  # refuses an eps beyond the horizon
        return replace(self, eps=eps)

    def keep(self, share: float) -> Deduplicated:
        """Select so that at least a share of the rows stays, and as few more as ties allow. Exact
        copies go in any case, as in the job's ``select.keep``.

        Parameters
        ----------
        share
            Share of the rows to keep, above 0 and at most 1.

        Returns
        -------
        Deduplicated
            The same rows at that threshold.

        Raises
        ------
        HorizonError
            So few rows are only kept at an eps beyond ``eps_max``.
        ValueError
            It is no such share.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1. Got {share}.")
        M = np.sort(self.scores.max_similarity.astype(np.float64))
        quantile = M[max(int(np.ceil(share * len(M))) - 1, 0)] if len(M) else 0.0
        below_one = M[M < 1.0].max(initial=0.0)
        eps = 1.0 - quantile if quantile < 1.0 else min(1.0 - below_one, self.scores.eps_max)
        if eps > self.scores.eps_max:
            raise HorizonError(
                f"eps_max must be at least the eps that keeps {share:g} of the rows. Got "
                f"{self.scores.eps_max:g}.",
                hint="call deduplicate again with a larger eps_max.",
            )
        return replace(self, eps=eps)

    def explain(self, id: Any) -> Explained:  # noqa: A002
        """Tell why a row was kept or removed.

        Parameters
        ----------
        id
            The row's id.

        Returns
        -------
        Explained
            Its survivor and the way to it; ``print`` shows it.

        Raises
        ------
        UnknownRowError
            There is no such row.
        """
        if id not in self.ids:
            raise UnknownRowError(f"id must be one of the {len(self.rows):,} rows. Got {id!r}.")
        row = list(self.ids).index(id)
        reason = self.reasons[row]
        if reason is not None:
            return Explained(id, QUARANTINED, reason=reason)
        ids, (theirs, _) = self._good_ids, self._before
        at, links = ids.index(id), []
        if self._kept[at]:
            same: Sequence[int] = ()
            if self.others is None:
                same = np.flatnonzero(self._survivor == at).tolist()
            return Explained(id, KEPT, id, stands_for=tuple(ids[i] for i in same if i != at))
        while True:
            near, similarity = int(self.scores.neighbor[at]), float(self.scores.max_similarity[at])
            links.append(Link(ids[at], theirs[near], similarity))
            if self.others is not None or self._kept[near]:
                return Explained(id, "removed", theirs[near], tuple(links))
            at = near


def _spread(n: int, place: IndexArray, values: npt.NDArray[Any]) -> pa.Array:
    """N values, null where ``place`` names no row."""
    out, present = np.zeros(n, dtype=values.dtype), np.zeros(n, dtype=bool)
    out[place], present[place] = values, True
    return pa.array(out, mask=~present)
