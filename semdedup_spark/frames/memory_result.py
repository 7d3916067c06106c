"""What is kept and what is removed of a table in memory, at any threshold up to the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from semdedup_spark import schema as s
from semdedup_spark.errors import UnknownRowError
from semdedup_spark.frames.given_rows import GivenRows
from semdedup_spark.frames.horizon import check_eps, refuse_share
from semdedup_spark.frames.memory_overview import overview_of, tuning_of
from semdedup_spark.frames.removals import Removals, removals
from semdedup_spark.in_memory.explanation import Explained, Link
from semdedup_spark.in_memory.score import VectorScores
from semdedup_spark.kernels.quotas import least_rows
from semdedup_spark.kernels.vectors import IndexArray


@dataclass(frozen=True)
class Deduplicated:
    """The result of :func:`semdedup_spark.deduplicate` for a table in memory.

    ``kept`` + ``removed`` + ``quarantined`` are the rows that were given.

    Attributes
    ----------
    given
        The rows that were given, and the vectors of those that have one.
    scores
        Scores of the rows that have one. Neighbors are positions among these, or among ``others``.
    reasons
        For each row that was given, why it has no vector; ``None`` where it has.
    eps
        The threshold.
    others
        With a reference: its rows. Neighbors are its rows.
    """

    given: GivenRows
    scores: VectorScores = field(repr=False)
    reasons: Sequence[str | None] = field(repr=False)
    eps: float
    others: GivenRows | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return int(self._kept.sum())

    def __repr__(self) -> str:
        n, kept, good = len(self.given.rows), len(self), len(self.given.good)
        return (
            f"Deduplicated(read={n}, kept={kept}, removed={good - kept}, "
            f"quarantined={n - good}, eps={self.eps:g})"
        )

    @cached_property
    def _kept(self) -> npt.NDArray[np.bool_]:
        return self.scores.kept(self.eps)

    @cached_property
    def _gone(self) -> Removals:
        theirs = None if self.others is None else self.others.X
        found = self.scores
        return removals(self._kept, found.neighbor, found.max_similarity, self.given.X, theirs)

    @property
    def _before(self) -> GivenRows:
        """The rows that neighbors and survivors are among."""
        return self.others or self.given

    @property
    def kept(self) -> Any:
        """The rows that stay, in the order given, of the kind that was given."""
        return self.given.rows.take(self.given.good[self._kept])

    @property
    def removed(self) -> Any:
        """A table of the removed rows: id, neighbor_id, survivor_id, similarity,
        survivor_similarity and cluster_id, as the job's table ``duplicates`` has them.
        """
        gone, theirs = self._gone, self._before
        return self.given.rows.like(
            {
                "id": [self.given.id_of(i) for i in gone.row],
                "neighbor_id": [theirs.id_of(i) for i in gone.neighbor],
                "survivor_id": [theirs.id_of(i) for i in gone.survivor],
                "similarity": gone.similarity,
                "survivor_similarity": gone.to_survivor,
                "cluster_id": self.scores.labels[gone.row],
            }
        )

    @property
    def quarantined(self) -> Any:
        """A table of the rows without a vector: id and reason."""
        bad = [i for i, reason in enumerate(self.reasons) if reason is not None]
        return self.given.rows.like(
            {"id": [self.given.ids[i] for i in bad], "reason": [self.reasons[i] for i in bad]}
        )

    @property
    def assignment(self) -> Any:
        """A table of all rows: id, kept, survivor_id (itself where kept), similarity to the
        nearest row before it, survivor_similarity, copies (rows that a kept row stands for, itself
        included), cluster_id and reason (kept, similarity or quarantined).
        """
        gone, place, n = self._gone, self.given.good, len(self.given.rows)
        kept = np.zeros(n, dtype=bool)
        kept[place] = self._kept
        both = zip(self.given.ids, kept.tolist(), strict=True)
        survivor = [id_ if stays else None for id_, stays in both]
        for row, end in zip(gone.row.tolist(), gone.survivor.tolist(), strict=True):
            survivor[place[row]] = self._before.id_of(end)
        copies, direct = np.ones(len(place), np.int64), np.ones(len(place), np.float32)
        direct[gone.row] = gone.to_survivor
        if self.others is None:
            copies += np.bincount(gone.survivor, minlength=len(place))
        return self.given.rows.like(
            {
                "id": list(self.given.ids),
                "kept": kept,
                "survivor_id": survivor,
                "similarity": _spread(n, place, self.scores.max_similarity),
                "survivor_similarity": _spread(n, place, direct),
                "copies": _spread(n, place[self._kept], copies[self._kept]),
                "cluster_id": _spread(n, place, self.scores.labels),
                "reason": [
                    s.QUARANTINED if reason else (s.BY_ITSELF if stays else s.BY_SIMILARITY)
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

        Notes
        -----
        What it calls raises ``HorizonError`` where ``eps`` is above ``eps_max``, and ``ValueError``
        where it is not above 0.
        """
        check_eps(eps, self.scores.eps_max)
        self.scores.kept(eps)  # refuses an eps of 0 or less
        return replace(self, eps=eps)

    def keep(self, share: float) -> Deduplicated:
        """Select so that at least a share of the rows stays, and as few more as ties allow. Exact
        copies go in any case, as in the job's ``select.keep``.

        Parameters
        ----------
        share
            Share of the rows to keep, above 0 and below 1.

        Returns
        -------
        Deduplicated
            The same rows at that threshold.

        Raises
        ------
        ValueError
            It is no such share.

        Notes
        -----
        What it calls raises ``HorizonError`` where only an eps beyond ``eps_max`` keeps so few
        rows.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must be above 0 and below 1. Got {share}.")
        M = np.sort(self.scores.max_similarity.astype(np.float64))
        quantile = M[max(least_rows(share, len(M)) - 1, 0)] if len(M) else 0.0
        below_one = M[M < 1.0].max(initial=0.0)
        eps = 1.0 - quantile if quantile < 1.0 else min(1.0 - below_one, self.scores.eps_max)
        if eps > self.scores.eps_max:
            refuse_share(share, self.scores.eps_max)
        return replace(self, eps=eps)

    def tune(self, eps: Sequence[float] = ()) -> Any:
        """Show what other thresholds would keep.

        Parameters
        ----------
        eps
            Thresholds, each above 0 and below 1. By default a usual grid up to the horizon.

        Returns
        -------
        Any
            A table of eps, kept (the fraction of the rows that have a vector), removed (their
            number), and in_groups (the fraction that has a duplicate, before or after it; at
            least, where there is no reference).
        """
        found = tuning_of(self.scores, self.eps, alone=self.others is None, eps_grid=tuple(eps))
        return self.given.rows.like(found.as_columns())

    def report(self, path: str | PathLike[str]) -> Path:
        """Write one HTML file to read and to share. Needs the extra ``report``.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The same.
        """
        from semdedup_spark.report.html import save_report

        found = overview_of(
            self.given, self.others, self.scores, self._gone, self.reasons, self.eps
        )
        save_report(found, Path(path))
        return Path(path)

    def explain(self, id: Any) -> Explained:  # noqa: A002
        """Tell why a row was kept or removed.

        Parameters
        ----------
        id
            The row's id. Of a file its path.

        Returns
        -------
        Explained
            Its survivor and the way to it; ``print`` shows it.

        Raises
        ------
        UnknownRowError
            There is no such row.
        """
        ids = list(self.given.ids)
        id = str(id) if isinstance(id, Path) else id  # noqa: A001
        if id not in ids:
            raise UnknownRowError(f"id must be one of the {len(ids):,} rows. Got {id!r}.")
        row = ids.index(id)
        reason = self.reasons[row]
        if reason is not None:
            return Explained(id, s.QUARANTINED, reason=reason)
        at, links = int(np.flatnonzero(self.given.good == row)[0]), []
        if self._kept[at]:
            same = self._gone.row[self._gone.survivor == at] if self.others is None else ()
            return Explained(id, s.KEPT, id, stands_for=tuple(self.given.id_of(i) for i in same))
        while True:
            near, similarity = int(self.scores.neighbor[at]), float(self.scores.max_similarity[at])
            end = self._before.id_of(near)
            links.append(Link(self.given.id_of(at), end, similarity))
            if self.others is not None or self._kept[near]:
                return Explained(id, "removed", end, tuple(links))
            at = near


def _spread(n: int, place: IndexArray, values: npt.NDArray[Any]) -> pa.Array:
    """N values, null where ``place`` names no row."""
    out, present = np.zeros(n, dtype=values.dtype), np.zeros(n, dtype=bool)
    out[place], present[place] = values, True
    return pa.array(out, mask=~present)
