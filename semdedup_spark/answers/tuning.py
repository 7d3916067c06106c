"""What thresholds would keep, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

OTHERS, NO_VALUE = "(other)", "(null)"
# Evenly spaced points of the curve, up to the horizon, besides eps 0.
CURVE_POINTS = 30


@dataclass(frozen=True)
class Threshold:
    """What one eps would do.

    Attributes
    ----------
    eps
        The threshold: a row is removed where M > 1 - eps.
    kept
        Fraction of the rows that are kept, in [0, 1].
    removed
        Number of rows that are removed.
    in_groups
        Fraction of the rows that have a duplicate before or after them in rank order. Taken from
        the scores alone, it counts the removed rows and their neighbors, and is a lower bound.
    """

    eps: float
    kept: float
    removed: int
    in_groups: float


@dataclass(frozen=True)
class Target:
    """The smallest eps that keeps at least a wanted fraction of the rows.

    Attributes
    ----------
    wanted
        The wanted fraction, in (0, 1).
    eps
        The threshold; ``None`` where it lies beyond the scores that are stored.
    kept
        The fraction that it keeps; ``None`` where ``eps`` is.
    limit
        ``copies`` where exact copies alone are more rows than may be removed; ``horizon`` where
        the threshold is beyond ``eps_max``; else ``None``.
    """

    wanted: float
    eps: float | None
    kept: float | None
    limit: Literal["copies", "horizon"] | None = None


@dataclass(frozen=True)
class SourceShare:
    """What thresholds would keep of the rows of one value of a column.

    Attributes
    ----------
    source
        The value as text; ``None`` for null.
    rows
        Number of rows that have the value.
    kept
        Fraction of them that each threshold keeps, in the order of ``Tuning.thresholds``.
    others
        Whether these are the rows of all values that have no line of their own.
    """

    source: str | None
    rows: int
    kept: list[float]
    others: bool = False

    @property
    def name(self) -> str:
        """Return the name of the line in a table. No two lines of a column have one name.

        Returns
        -------
        str
            The value, ``(null)``, or ``(other)``.
        """
        return OTHERS if self.others else named_value(self.source)


@dataclass(frozen=True)
class SizeShare:
    """What thresholds would keep of a smaller corpus: of random rows of this one.

    Attributes
    ----------
    rows
        Number of rows of the corpus.
    kept
        Fraction of them that each threshold keeps, in the order of ``Tuning.thresholds``.
    """

    rows: int
    kept: list[float]


def named_value(value: str | None) -> str:
    """Write a value of the data as a table shows it.

    Parameters
    ----------
    value
        The value as text; ``None`` for null.

    Returns
    -------
    str
        The value. It is in quotes where it is empty, has spaces around it, begins with a quote, or
        reads like one of the words ``(null)`` and ``(other)``.
    """
    if value is None:
        return NO_VALUE
    like_ours = value in (OTHERS, NO_VALUE) or value != value.strip() or not value
    return repr(value) if like_ours or value[0] in "'\"" else value


@dataclass(frozen=True)
class Tuning:
    """What thresholds would keep of the scored rows.

    Attributes
    ----------
    rows
        Number of scored rows.
    copies
        Number of rows with M = 1: exact copies of an earlier row.
    eps_max
        The horizon: the largest eps that the scores are complete for.
    recall
        The recall of the scores: ``cluster``, ``exact``, or a budget of probes.
    selected
        The eps in use; ``None`` where nothing was selected.
    thresholds
        What each eps of the grid would do, ascending.
    targets
        The eps for each wanted fraction, the largest fraction first.
    curve
        (eps, fraction kept), ascending in eps.
    histogram
        (from, to, number of rows) of M. A bin holds its upper end; the first also holds its lower
        end. The last bin holds the exact copies.
    in_groups_exact
        Whether ``Threshold.in_groups`` is exact.
    by
        Column of the source whose values were counted.
    sources
        One line for each of these values.
    sizes
        One line for each size of a corpus, the smallest first. Empty where it was not asked for.
    overrides
        Number of rows that people restored or removed. No count here knows of that.
    """

    rows: int
    copies: int
    eps_max: float
    recall: str
    selected: float | None
    thresholds: list[Threshold]
    targets: list[Target]
    curve: list[tuple[float, float]]
    histogram: list[tuple[float, float, int]]
    in_groups_exact: bool = False
    by: str | None = None
    sources: list[SourceShare] = field(default_factory=list)
    sizes: list[SizeShare] = field(default_factory=list)
    overrides: int = 0

    def as_columns(self) -> dict[str, list[float] | list[int]]:
        """List the thresholds as columns of a table.

        Returns
        -------
        dict[str, list]
            ``eps``, ``kept``, ``removed`` and ``in_groups``; see :class:`Threshold`.
        """
        return {
            "eps": [at.eps for at in self.thresholds],
            "kept": [at.kept for at in self.thresholds],
            "removed": [at.removed for at in self.thresholds],
            "in_groups": [at.in_groups for at in self.thresholds],
        }
