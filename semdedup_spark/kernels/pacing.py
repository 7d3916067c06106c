"""How much work to put into the next commit, so that commits come at a steady pace."""

from __future__ import annotations

from collections.abc import Sequence

# The fixed part of a commit (scan, planning, the commit itself) may cost at most this share.
_OVERHEAD_SHARE = 0.1
_LARGEST_GROWTH = 4.0


def next_rows(done: Sequence[tuple[int, float]], *, target_seconds: float) -> int:
    """Rows for the next commit. ``done``: (rows, seconds) of at least one commit, oldest first.

    With two commits of different size the fixed seconds of a commit can be told from the seconds
    a row takes; where the fixed part is large (a source that is slow to scan), commits grow past
    ``target_seconds`` until it is a tenth of them.
    """
    rows, seconds = done[-1]
    fixed = 0.0
    per_row = max(seconds, 1e-3) / max(rows, 1)
    if len(done) > 1 and done[-2][0] < rows and done[-2][1] < seconds:
        per_row = (seconds - done[-2][1]) / (rows - done[-2][0])
        fixed = max(0.0, seconds - rows * per_row)
    wanted = max(target_seconds - fixed, fixed / _OVERHEAD_SHARE) / per_row
    return max(1, int(min(wanted, _LARGEST_GROWTH * max(rows, 1))))
