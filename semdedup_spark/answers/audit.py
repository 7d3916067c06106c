"""What an audit shows and what it finds: removals that people judge, and how many were right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from semdedup_spark.answers.overview import Shown

Judgement: TypeAlias = Literal["duplicate", "not", "skip"]
JUDGEMENTS: tuple[Judgement, ...] = ("duplicate", "not", "skip")


@dataclass(frozen=True)
class Removal:
    """A removed row beside the kept row that stands for it, drawn for people to judge.

    Attributes
    ----------
    row
        The removed row.
    survivor
        The kept row that stands for it.
    neighbor_id
        Id, as text, of the earlier row that is the reason of the removal.
    similarity
        Cosine similarity to the neighbor.
    survivor_similarity
        Cosine similarity to the survivor.
    stratum
        Name of the group of removals that it was drawn from.
    """

    row: Shown
    survivor: Shown
    neighbor_id: str
    similarity: float
    survivor_similarity: float
    stratum: str


@dataclass(frozen=True)
class Verdict:
    """What a person said of a removal.

    Attributes
    ----------
    id
        Id of the removed row.
    survivor_id
        Id of the kept row that it was shown with.
    judgement
        Whether it is a duplicate of that row. ``skip``: the person could not say.
    reviewer
        Who judged.
    judged_at
        When, in UTC.
    """

    id: Any
    survivor_id: Any
    judgement: Judgement
    reviewer: str
    judged_at: datetime


@dataclass(frozen=True)
class Share:
    """An estimated share with an interval that covers the true share in 95 of 100 audits.

    Attributes
    ----------
    value
        The estimate, in [0, 1].
    low
        Lower end of the interval.
    high
        Upper end of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class StratumPrecision:
    """The precision of one group of removals.

    Attributes
    ----------
    name
        Name of the group.
    n_removals
        Number of removals in the group.
    n_drawn
        How many of them were drawn.
    n_judged
        How many of those have a verdict other than ``skip``.
    n_right
        How many of those are duplicates.
    precision
        Their share; ``None`` where none was judged.
    """

    name: str
    n_removals: int
    n_drawn: int
    n_judged: int
    n_right: int
    precision: Share | None


@dataclass(frozen=True)
class PrecisionAt:
    """The precision of the removals whose survivor is above a smaller threshold.

    Attributes
    ----------
    eps
        The threshold.
    n_removals
        Number of these removals.
    precision
        Share of them that are duplicates; ``None`` where too few were judged.
    """

    eps: float
    n_removals: int
    precision: Share | None


@dataclass(frozen=True)
class Audit:
    """What the verdicts say of the removals of a selection, or of its rows in ``review``.

    Attributes
    ----------
    eps
        The threshold of the selection, or that of ``review``.
    nearest
        The eps beyond which ``review`` begins; 0 for removals.
    n_removals
        Number of rows that it removed for their similarity, or that it listed in ``review``.
    precision
        Share of them that are duplicates; ``None`` where too few were judged.
    strata
        The same for each group of removals.
    by_eps
        The same for removals whose survivor is above smaller thresholds, in ascending order.
    wanted
        The precision that was asked for, if one was.
    eps_for_wanted
        The largest of these thresholds whose interval lies above ``wanted``; ``None`` where there
        is none.
    n_disagreeing
        Number of removals of which two reviewers said different things. They count as judged by
        the newest verdict.
    n_open
        Number of removals that were drawn and have no verdict yet.
    """

    eps: float
    nearest: float
    n_removals: int
    precision: Share | None
    strata: list[StratumPrecision]
    by_eps: list[PrecisionAt]
    wanted: float | None
    eps_for_wanted: float | None
    n_disagreeing: int
    n_open: int


@dataclass(frozen=True)
class RecallAt:
    """How many duplicates of a threshold were found.

    Attributes
    ----------
    eps
        The threshold.
    n_true
        Number of drawn rows that have a duplicate among the rows that rank before them.
    n_found
        How many of these the scores know.
    recall
        Their share; ``None`` where there is none.
    """

    eps: float
    n_true: int
    n_found: int
    recall: Share | None


@dataclass(frozen=True)
class RecallAudit:
    """What a comparison of drawn rows with all rows says of the scores.

    Attributes
    ----------
    n_rows
        Number of drawn rows.
    n_certified
        How many of them the scores call exhaustive: nothing of them can have been missed.
    eps_max
        The horizon of the scores.
    by_eps
        Recall at thresholds up to the horizon, in ascending order.
    """

    n_rows: int
    n_certified: int
    eps_max: float
    by_eps: list[RecallAt]
