"""Why a row of a table in memory was kept or removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.visible import inline


@dataclass(frozen=True)
class Link:
    """A step of the way from a removed row to the row that stands for it.

    Attributes
    ----------
    id
        The row.
    neighbor_id
        The row before it that is most similar to it.
    similarity
        Cosine of both.
    """

    id: Any
    neighbor_id: Any
    similarity: float


@dataclass(frozen=True)
class Explained:
    """Why a row was kept or removed.

    Attributes
    ----------
    id
        The row.
    fate
        ``kept``, ``removed`` or ``quarantined``.
    survivor_id
        The kept row that stands for it; itself where it is kept.
    chain
        From the row to its survivor.
    stands_for
        Rows that it stands for, itself not among them.
    reason
        Why it is in quarantine, otherwise empty.
    """

    id: Any
    fate: str
    survivor_id: Any = None
    chain: tuple[Link, ...] = ()
    stands_for: tuple[Any, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        why = f" ({inline(self.reason)})" if self.reason else ""
        lines = [f"{inline(self.id)}: {self.fate}{why}"]
        for link in self.chain:
            near = f"{similarity_text(link.similarity)} similar to {inline(link.neighbor_id)}"
            lines.append(f"  {inline(link.id)} is {near}")
        if self.stands_for:
            lines.append(f"  stands for {', '.join(map(inline, self.stands_for))}")
        return "\n".join(lines)
