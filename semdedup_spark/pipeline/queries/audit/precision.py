"""How many of the removals of a selection are right, from what people said of drawn ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.audit import (
    Audit,
    PrecisionAt,
    Removal,
    Share,
    StratumPrecision,
    Verdict,
)
from semdedup_spark.kernels.statistics.intervals import stratified_share
from semdedup_spark.kernels.statistics.smaller_eps import shares_below
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.audit.draw import Drawing, Drawn, draw, stratum_name
from semdedup_spark.tables.catalog import read_table, table_exists


def run_audit(
    job: Job, drawing: Drawing, name: str | None = None, wanted: float | None = None
) -> Audit:
    """Estimate from verdicts how many removals are right.

    Parameters
    ----------
    job
        The job.
    drawing
        Which removals were drawn. Verdicts of others do not count: they were not chosen by chance.
    name
        Name of the selection; by default that of the job file.
    wanted
        A precision in [0, 1], for which the largest eps is looked for. ``None``: none.

    Returns
    -------
    Audit
        Precision with its interval, as a whole, by group and by eps.

    Notes
    -----
    What it calls raises as :func:`draw_removals` does.
    """
    drawn = draw(job, drawing, name)
    said = _judgements(job, drawn)
    n_groups = len(drawn.strata)
    of = np.array(drawn.of, dtype=np.int64)
    known = np.array([one.counts for one in said], dtype=bool)
    right = np.array([one.is_right for one in said], dtype=bool)
    n_drawn = np.bincount(of, minlength=n_groups)
    n_judged = np.bincount(of[known], minlength=n_groups)
    n_right = np.bincount(of[known & right], minlength=n_groups)
    similarity = np.array([row[s.SURVIVOR_SIMILARITY] for row in drawn.rows], dtype=np.float64)
    by_eps = _by_eps(drawn, of[known], similarity[known], right[known])
    strata = [
        StratumPrecision(
            stratum_name(drawn, stratum, drawing.by),
            int(drawn.sizes[h]),
            int(n_drawn[h]),
            int(n_judged[h]),
            int(n_right[h]),
            _share(stratified_share([drawn.sizes[h]], [n_judged[h]], [n_right[h]])),
        )
        for h, stratum in enumerate(drawn.strata)
    ]
    enough = [
        at.eps
        for at in by_eps
        if at.precision and wanted is not None and at.precision.low >= wanted
    ]
    return Audit(
        eps=drawn.eps,
        nearest=drawn.nearest,
        n_removals=int(drawn.sizes.sum()),
        precision=_share(stratified_share(drawn.sizes, n_judged, n_right)),
        strata=strata,
        by_eps=by_eps,
        wanted=wanted,
        eps_for_wanted=max(enough, default=None),
        n_disagreeing=sum(one.is_disputed for one in said),
        n_open=sum(one.is_open for one in said),
    )


@dataclass(frozen=True)
class _Said:
    """What reviewers said of one removal.

    Attributes
    ----------
    judgements
        Of each reviewer the newest one, the newest of all last.
    """

    judgements: Sequence[str]

    @property
    def _clear(self) -> list[str]:
        return [each for each in self.judgements if each != "skip"]

    @property
    def is_open(self) -> bool:
        return not self.judgements

    @property
    def counts(self) -> bool:
        return bool(self._clear)

    @property
    def is_right(self) -> bool:
        return self._clear[-1:] == ["duplicate"]

    @property
    def is_disputed(self) -> bool:
        return len(set(self._clear)) > 1


def known_verdicts(job: Job, removals: Sequence[Removal]) -> list[Verdict]:
    """Read the verdicts that there are of removals.

    Parameters
    ----------
    job
        The job.
    removals
        A few removals.

    Returns
    -------
    list[Verdict]
        Oldest first, with ids as text.
    """
    pairs = {(each.row.id, each.survivor.id) for each in removals}
    found = _verdicts(job, [each.row.id for each in removals])
    known = [
        Verdict(str(row[0]), str(row[1]), row[2], row[3], row[4].astimezone(timezone.utc))
        for row in found
    ]
    return [each for each in known if (each.id, each.survivor_id) in pairs]


def _verdicts(job: Job, ids: Sequence[str]) -> list[Row]:
    """(id, survivor_id, judgement, reviewer, judged_at) of rows, oldest first."""
    if not ids or not table_exists(job.spark, job.root, s.VERDICTS):
        return []
    rows = read_table(job.spark, job.root, s.VERDICTS)
    rows = rows.filter(F.col(s.ID).cast("string").isin(list(ids)))
    in_order = rows.orderBy(s.JUDGED_AT, s.REVIEWER)
    return in_order.select(s.ID, s.SURVIVOR_ID, s.JUDGEMENT, s.REVIEWER, s.JUDGED_AT).collect()


def _judgements(job: Job, drawn: Drawn) -> list[_Said]:
    """What was said of each drawn removal."""
    found: dict[tuple[Any, Any], dict[str, str]] = {}
    for row in _verdicts(job, [str(each[s.ID]) for each in drawn.rows]):
        of_pair = found.setdefault((row[s.ID], row[s.SURVIVOR_ID]), {})
        of_pair.pop(row[s.REVIEWER], None)
        of_pair[row[s.REVIEWER]] = row[s.JUDGEMENT]
    pairs = ((row[s.ID], row[s.SURVIVOR_ID]) for row in drawn.rows)
    return [_Said(list(found.get(pair, {}).values())) for pair in pairs]


def _by_eps(
    drawn: Drawn,
    of: npt.NDArray[np.int64],
    similarity: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
) -> list[PrecisionAt]:
    shares = shares_below(drawn.sizes_at, drawn.eps_grid, of, similarity, right)
    return [
        PrecisionAt(eps, int(sizes.sum()), _share(share))
        for eps, sizes, share in zip(drawn.eps_grid, drawn.sizes_at, shares, strict=True)
    ]


def _share(found: tuple[float, float, float] | None) -> Share | None:
    return None if found is None else Share(*found)
