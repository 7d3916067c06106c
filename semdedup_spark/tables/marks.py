"""The mark that each commit carries in its user metadata: who made it, and what the table holds.

Marks make writes repeatable, and tell what can be reused. They are JSON with a layout number.
Layout 1, of release 0.1, is a flat object without the number. Layout 2, of release 0.2, lacks the
place of a source; a mark that has none to tell is still written in it. All are read. A mark of a
layout that is not known is refused: to take it for another program's commit would compute all rows
again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from semdedup_spark.errors import PermanentError
from semdedup_spark.visible import masked_repr

LAYOUT = 3
_LAYOUT = "layout"
# The layout of what has no place.
_WITHOUT_PLACE = 2


class NewerReleaseError(PermanentError):
    """Raised where a newer release of this package has written an output.

    Attributes
    ----------
    exit_code
        2, as for a wrong configuration.
    """

    exit_code = 2


class Mark(Protocol):
    """What a commit needs of a mark."""

    @property
    def made_with(self) -> str:
        """Identity of what made the rows; empty where rows of different makers may mix."""

    def text(self) -> str:
        """Write the mark as JSON.

        Returns
        -------
        str
            Equal marks give equal texts.
        """


@dataclass(frozen=True)
class RowHistory:
    """What happened to the rows of a table that grows from run to run.

    Attributes
    ----------
    batch
        Number of the newest batch in the table.
    origin
        Result key with which the table began.
    reordered_by
        Result key of the last write that could reorder rows. Later writes only append rows that
        rank last, or delete rows.
    order
        Identity of the SQL order whose columns are watched for changes. Empty for a built-in order,
        which looks at no column of the source.
    erased
        Number of rows taken out of this result on request.
    """

    batch: int = 0
    origin: str = ""
    reordered_by: str = ""
    order: str = ""
    erased: int = 0

    @property
    def ordered(self) -> str:
        """The last reordering and the order in one text, as keys of results contain it."""
        return f"{self.reordered_by}/{self.order}" if self.reordered_by else ""

    @property
    def rows_scored(self) -> str:
        """Which rows of ``embeddings`` are scored, as the ledger's inputs of ``score`` have it."""
        return f"up to {self.batch}, since {self.ordered[:12]}, {self.erased} erased"


@dataclass(frozen=True)
class WriteProgress:
    """How far a result is written that takes several commits.

    Attributes
    ----------
    position
        Where the next commit goes on, in units of ``hash_ranges.END_OF_PLACES``.
    goal
        The position at which the result is complete; 0 where it is written by one commit.
    reused
        Number of rows that came from an earlier version of the table.
    """

    position: int = 0
    goal: int = 0
    reused: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be written."""
        return self.position >= self.goal


@masked_repr
@dataclass(frozen=True)
class StageMark:
    """The mark of a stage's commit.

    Attributes
    ----------
    run_id
        The run that made the commit.
    stage
        The stage that made it.
    result_key
        Identity of the result that is written.
    made_with
        Identity of what made the rows, where rows of different makers must not mix.
    content
        Identity of the rows themselves, of tables that others are only valid with.
    rows
        What happened to the rows, of tables that grow.
    progress
        How far the result is written, of tables that are written in several commits.
    place
        Where the source of the rows lies, without credentials, of tables that belong to one
        source. Empty also where release 0.2 or 0.1 wrote them.
    """

    run_id: str
    stage: str
    result_key: str
    made_with: str = ""
    content: str = ""
    rows: RowHistory = field(default_factory=RowHistory)
    progress: WriteProgress = field(default_factory=WriteProgress)
    place: str = ""

    def text(self) -> str:
        """Write the mark as JSON of the oldest layout that can hold it.

        Returns
        -------
        str
            Equal marks give equal texts.
        """
        told = asdict(self)
        if not self.place:
            del told["place"]
        return json.dumps({_LAYOUT: LAYOUT if self.place else _WITHOUT_PLACE, **told})


def read_mark(text: str | None, place: str) -> StageMark | None:
    """Read the mark of a commit.

    Parameters
    ----------
    text
        The user metadata of the commit.
    place
        Name of the table, for the error.

    Returns
    -------
    StageMark | None
        ``None`` where another program made the commit.
    """
    try:
        told = json.loads(text or "")
        layout = told.pop(_LAYOUT, 1)
        check_layout(layout, place)
        return _of_layout_1(**told) if layout == 1 else _of_later_layout(told)
    except (TypeError, ValueError, AttributeError, KeyError):
        return None


def check_layout(layout: object, place: str) -> None:
    """Refuse what a newer release has written.

    Parameters
    ----------
    layout
        The number that a mark has.
    place
        Name of the table, for the error.

    Raises
    ------
    NewerReleaseError
        The layout is newer than this release.
    """
    if isinstance(layout, int) and layout > LAYOUT:
        raise NewerReleaseError(
            f"{place} must be written by this release of semdedup_spark or an earlier one. It was "
            f"written by a newer release: its marks have layout {layout}, and this release knows "
            f"{LAYOUT}.",
            hint="use the newer release, or give the job another output.",
        )


def _of_later_layout(told: dict[str, Any]) -> StageMark:
    rows, progress = RowHistory(**told.pop("rows")), WriteProgress(**told.pop("progress"))
    return StageMark(**told, rows=rows, progress=progress)


def _of_layout_1(
    run_id: str,
    stage: str,
    result_key: str,
    progress: int = 0,
    goal: int = 0,
    made_with: str = "",
    reused: int = 0,
    batch: int = 0,
    origin: str = "",
    ordered: str = "",
    erased: int = 0,
    content: str = "",
) -> StageMark:
    """One flat object for all tables; ``ordered`` held two values with a slash between them."""
    reordered_by, _, order = ordered.partition("/")
    return StageMark(
        run_id,
        stage,
        result_key,
        made_with,
        content,
        RowHistory(batch, origin, reordered_by, order, erased),
        WriteProgress(progress, goal, reused),
    )
