"""What the kept-by-eps curve says, in numbers and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from semdedup_spark.answers.tuning import CURVE_POINTS, Tuning
from semdedup_spark.kernels.statistics.intervals import wilson

# A stretch is flat if the kept share falls by at most this part of its whole fall up to the horizon
_FLAT_PART = 0.05
# by at most this part of the rows,
_FLAT_ROWS = 0.005
# and by at most this part of those that are kept where it begins: where few are kept, nothing else
# is flat.
_FLAT_KEPT = 0.05
# Where less than this part of the rows is kept, nearly everything is gone: no eps to choose.
_LEAST_KEPT = 0.05
# A stretch shorter than this part of the horizon is not worth a word.
_SHORTEST = 1 / 15
# Two values of eps that differ by less than this are the same.
_SAME = 1e-9
# Of values that lose more than their share, so many are named.
_MOST_NAMED = 5


def flat_stretch(
    curve: Sequence[tuple[float, float]], selected: float | None = None
) -> tuple[float, float] | None:
    """Find a stretch of eps over which the kept share hardly changes.

    Parameters
    ----------
    curve
        (eps, fraction kept), ascending in eps, from 0 to the horizon.
    selected
        The eps in use. A stretch that holds it comes before a longer one that does not.

    Returns
    -------
    tuple of float or None
        First and last eps of the stretch. ``None`` where no stretch is flat.

    Notes
    -----
    A stretch goes from one point of the curve to a later one; eps 0 belongs to none. It is flat if
    the kept share falls over it by at most 5 % of the whole fall from eps 0 to the horizon, by at
    most 0.5 % of the rows, and by at most 5 % of the share at its beginning. At least 5 % of the
    rows must be kept at its end, and it must be at least 1/15 of the horizon long. Of several, the
    longest is taken, and the one of smaller eps among equals.
    """
    points = [(eps, kept) for eps, kept in curve if eps > 0 and kept >= _LEAST_KEPT]
    if not points:
        return None
    horizon, least = curve[-1]
    allowed = min(_FLAT_PART * (curve[0][1] - least), _FLAT_ROWS) + _SAME
    found: list[tuple[float, float]] = []
    for first, (start, kept) in enumerate(points):
        fall = min(allowed, _FLAT_KEPT * kept + _SAME)
        end = max(eps for eps, later in points[first:] if kept - later <= fall)
        if end - start >= _SHORTEST * horizon - _SAME:
            found.append((start, end))
    if not found:
        return None
    return max(found, key=lambda each: (_holds(each, selected), round(each[1] - each[0], 9)))


def _holds(stretch: tuple[float, float], eps: float | None) -> bool:
    return eps is not None and stretch[0] - _SAME <= eps <= stretch[1] + _SAME


def verdict(tuning: Tuning) -> str:
    """Say in words what the curve means for the choice of eps.

    Parameters
    ----------
    tuning
        The numbers of the curve.

    Returns
    -------
    str
        One or two sentences. Empty where nothing was scored.
    """
    if not tuning.rows or not tuning.curve:
        return ""
    horizon, least = tuning.curve[-1]
    if least >= tuning.curve[0][1]:
        return f"No eps up to {_eps(horizon)} removes a row."
    stretch = flat_stretch(tuning.curve, tuning.selected)
    chosen = "" if tuning.selected is None else _eps(tuning.selected)
    if stretch is None:
        return (
            f"The kept share has no flat stretch up to eps {_eps(horizon)}, so the curve suggests "
            "no eps. Judge by pairs near the threshold."
        )
    low, high = map(_eps, stretch)
    said = (
        f"The kept share is nearly flat from eps {low} to {high}: "
        "any eps there gives nearly the same."
    )
    if not chosen:
        return said
    if _holds(stretch, tuning.selected):
        return f"{said} The eps in use, {chosen}, is one of them."
    return f"{said} The eps in use, {chosen}, is outside of it."


def uncounted(overrides: int) -> str:
    """Say that the curve follows the scores alone.

    Parameters
    ----------
    overrides
        Number of rows that people decided about, at least 1.

    Returns
    -------
    str
        A sentence.
    """
    rows = f"{overrides:,} row{'' if overrides == 1 else 's'}"
    return (
        f"Overrides are not counted here: {rows} that people restored or removed. The shares "
        "follow similarity alone."
    )


def from_horizon(tuning: Tuning) -> tuple[int, list[tuple[float, float, int]]]:
    """Count rows by max_similarity from the horizon on. Below it the scores need not be complete.

    Parameters
    ----------
    tuning
        The numbers of the curve.

    Returns
    -------
    tuple of int and list of tuple
        The number of rows up to the horizon; and (from, to, number of rows) between evenly spaced
        similarities, ascending. A bin holds its upper end. The last bin ends at 1 and holds the
        exact copies.
    """
    at = {}  # by step: a threshold of the grid may lie within rounding of an even point
    for eps, share in tuning.curve:
        step = eps / tuning.eps_max * CURVE_POINTS
        if abs(step - round(step)) < _SAME:
            at[round(step)] = (eps, round(share * tuning.rows))
    even = [at[step] for step in sorted(at)]
    bins = [(1 - high, 1 - low, n_low - n_high) for (low, n_low), (high, n_high) in pairwise(even)]
    return (even[-1][1] if even else 0), bins[::-1]


def _eps(eps: float) -> str:
    return f"{eps:.3g}"


def uneven(tuning: Tuning) -> str:
    """Say which values of the column lose clearly more than their share at the eps in use.

    Parameters
    ----------
    tuning
        What was counted, by value.

    Returns
    -------
    str
        A sentence that names up to ``_MOST_NAMED`` values, those that lose most first. Empty where
        no eps is in use, or no value stands out.

    Notes
    -----
    A value stands out if the interval of 95 % of its removed share lies above the share of all
    rows: a few rows alone say little about a value.
    """
    at = next((i for i, each in enumerate(tuning.thresholds) if each.eps == tuning.selected), None)
    if at is None or len(tuning.sources) < 2 or not tuning.thresholds[at].removed:
        return ""
    whole = 1 - tuning.thresholds[at].kept
    found = []
    for each in tuning.sources:
        share = 1 - each.kept[at]
        low, high = wilson(round(share * each.rows), each.rows)
        if low > whole:
            found.append((share / whole, each.name, share, low, high))
    if not found:
        return ""
    named = "; ".join(
        f"{name} {100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f}), {ratio:.1f} times"
        for ratio, name, share, low, high in sorted(found, reverse=True)[:_MOST_NAMED]
    )
    more = "; and others" if len(found) > _MOST_NAMED else ""
    return (
        f"At eps {tuning.selected:.6g} these lose more than their share (all rows: "
        f"{100 * whole:.1f} % removed): {named}{more}."
    )
