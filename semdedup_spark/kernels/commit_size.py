"""Chooses how many rows the next commit takes, so that commits come at a steady pace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# The fixed part of a commit (scan, planning, the commit itself) may cost at most this share.
_OVERHEAD_SHARE = 0.1
# A commit has at most this many times the rows of the one before.
_LARGEST_GROWTH = 4.0
# Number of latest commits that the estimate is made from.
_RECENT = 8
_FEWEST_ROWS = 32


def next_rows(done: Sequence[tuple[int, float]], *, target_seconds: float) -> int:
    """Choose the number of rows of the next commit.

    Commits of different sizes tell the fixed seconds of a commit from the seconds per row. The
    fixed part is large where a source is slow to scan or the machine is busy. Commits then grow
    past ``target_seconds`` until the fixed part is a tenth of their time. A large fixed part never
    makes commits smaller.

    Parameters
    ----------
    done
        (rows, seconds) of each finished commit, oldest first; at least one.
    target_seconds
        Seconds that a commit should take.

    Returns
    -------
    int
        Number of rows, at least 32 and otherwise at most four times those of the last commit.
    """
    recent = done[-_RECENT:]
    fixed, per_row = fixed_and_per_row(recent)
    wanted = max(target_seconds - fixed, fixed / _OVERHEAD_SHARE) / max(per_row, 1e-9)
    return max(_FEWEST_ROWS, int(min(wanted, _LARGEST_GROWTH * max(recent[-1][0], 1))))


def fixed_and_per_row(done: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Fit a line through (rows, seconds) by least squares, with both coefficients at least zero.

    Commits of one single size say nothing about the fixed part, which then counts as zero.

    Parameters
    ----------
    done
        (rows, seconds) of each finished commit.

    Returns
    -------
    tuple[float, float]
        Fixed seconds of a commit, and seconds per row.
    """
    rows, seconds = np.array(done, dtype=np.float64).reshape(-1, 2).T
    seconds = np.maximum(seconds, 1e-3)
    spread = rows - rows.mean()
    if not spread.any():
        return 0.0, float(seconds.mean() / max(rows.mean(), 1.0))
    slope = float((spread * seconds).sum() / (spread * spread).sum())
    if slope <= 0:  # larger commits took no longer
        return float(seconds.mean()), 0.0
    fixed = float(seconds.mean() - slope * rows.mean())
    if fixed >= 0:
        return fixed, slope
    return 0.0, float((rows * seconds).sum() / (rows * rows).sum())
