"""How much work to put into the next commit, so that commits come at a steady pace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# The fixed part of a commit (scan, planning, the commit itself) may cost at most this share.
_OVERHEAD_SHARE = 0.1
_LARGEST_GROWTH = 4.0
_RECENT = 8
_FEWEST_ROWS = 32


def next_rows(done: Sequence[tuple[int, float]], *, target_seconds: float) -> int:
    """Rows for the next commit. ``done``: (rows, seconds) of at least one commit, oldest first.

    From commits of different size the fixed seconds of a commit can be told from the seconds a row
    takes. Where the fixed part is large (a source that is slow to scan, a busy machine), commits
    grow past ``target_seconds`` until it is a tenth of them; they never shrink because of it.
    """
    recent = done[-_RECENT:]
    fixed, per_row = fixed_and_per_row(recent)
    wanted = max(target_seconds - fixed, fixed / _OVERHEAD_SHARE) / max(per_row, 1e-9)
    return max(_FEWEST_ROWS, int(min(wanted, _LARGEST_GROWTH * max(recent[-1][0], 1))))


def fixed_and_per_row(done: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(fixed seconds, seconds a row) of the line through (rows, seconds), by least squares, neither
    below zero. One size alone says nothing of the fixed part, so that it counts as none.
    """
    rows, seconds = np.array(done, dtype=np.float64).reshape(-1, 2).T
    seconds = np.maximum(seconds, 1e-3)
    spread = rows - rows.mean()
    if not spread.any():
        return 0.0, float(seconds.mean() / max(rows.mean(), 1.0))
    slope = float((spread * seconds).sum() / (spread * spread).sum())
    if slope <= 0:  # more rows took no longer
        return float(seconds.mean()), 0.0
    fixed = float(seconds.mean() - slope * rows.mean())
    if fixed >= 0:
        return fixed, slope
    return 0.0, float((rows * seconds).sum() / (rows * rows).sum())
