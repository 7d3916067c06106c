"""The mark that each commit carries: who made it, and what the table holds since."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CommitMark:
    """Travels in the commit's user metadata, and makes repetition safe.

    ``result_key``: identity of what is written; ``progress``: how far this commit brings it (the
    embedding's place), complete at ``goal``; both 0 for a table written at once; ``made_with``:
    identity of what made the rows, which never mix; ``reused``: rows that came from an earlier
    version of the table. ``batch``: the newest one in the table; ``origin``: result key with which
    the table began; ``ordered``: the one since which rows were only added behind all others in rank
    order, or taken away; ``erased``: rows taken out of this result on request; ``content``:
    identity of the rows themselves, of tables that others are only valid with.
    """

    run_id: str
    stage: str
    result_key: str
    progress: int = 0
    goal: int = 0
    made_with: str = ""
    reused: int = 0
    batch: int = 0
    origin: str = ""
    ordered: str = ""
    erased: int = 0
    content: str = ""
