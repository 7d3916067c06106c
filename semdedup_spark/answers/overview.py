"""What a report shows of a finished job, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from semdedup_spark.answers.tuning import Tuning
from semdedup_spark.visible import masked_repr

if TYPE_CHECKING:
    from semdedup_spark.encoders.image.thumbnails import Thumbnail

# Of a row, so many characters of its text, columns, and characters of a column are shown.
MOST_CHARACTERS, MOST_COLUMNS, MOST_OF_A_VALUE = 4000, 12, 200
# So many of the largest groups are shown, of those drawn at random, and of the rows of each.
LARGEST, DRAWN_GROUPS, MEMBERS = 10, 8, 7
# So many removals nearest to the threshold are shown, and of those that are not covered.
EDGES, UNCOVERED = 12, 6


@dataclass(frozen=True)
class Shown:
    """A row as a person sees it.

    Attributes
    ----------
    id
        Id of the row, as text.
    text
        Its text or caption; empty where it has none.
    similarity
        Cosine similarity to the survivor; 1 for the survivor itself.
    picture
        Thumbnail, where the row is an image that can be read.
    columns
        Name and value of its other columns, as text.
    """

    id: str
    text: str
    similarity: float
    picture: Thumbnail | None = None
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Example:
    """Two rows to be shown side by side, in general a removed row and its survivor.

    Attributes
    ----------
    id
        Id of the row, as text.
    text
        Its text.
    survivor_id
        Id of the other row, as text.
    survivor_text
        Text of the other row.
    similarity
        Cosine similarity of a removed row to the neighbor because of which it was removed; of
        other rows, that of the two rows.
    neighbor_id
        Id of that neighbor as text, where it may be another row than the survivor.
    survivor_similarity
        Cosine similarity to the survivor, measured directly.
    covered
        Whether ``survivor_similarity`` alone would remove the row.
    """

    id: str
    text: str
    survivor_id: str
    survivor_text: str
    similarity: float
    neighbor_id: str | None = None
    survivor_similarity: float | None = None
    covered: bool | None = None


@dataclass(frozen=True)
class Group:
    """A kept row, and removed rows that it stands for.

    Attributes
    ----------
    survivor
        The kept row.
    members
        Some of the removed rows, the least similar first.
    size
        Number of all removed rows that it stands for.
    """

    survivor: Shown
    members: list[Shown]
    size: int


@dataclass(frozen=True)
class Reason:
    """Rows that were rejected for one reason.

    Attributes
    ----------
    reason
        Code of the reason.
    rows
        Number of the rows.
    example_id
        Id of one of them, as text.
    message
        What was wrong with that row, in words.
    """

    reason: str
    rows: int
    example_id: str
    message: str


@masked_repr
@dataclass(frozen=True)
class StageLine:
    """A stage, as the ledger recorded it.

    Attributes
    ----------
    stage
        Name of the stage.
    run_id
        Name of the run.
    started_at
        When the stage began.
    seconds
        How long it took, in seconds.
    reused
        Whether an earlier output was used again.
    inputs
        What the stage was made from, and the identity of each.
    outputs
        Tables that it wrote, and their Delta versions.
    counts
        Numbers of rows.
    metrics
        Measured numbers.
    """

    stage: str
    run_id: str
    started_at: datetime
    seconds: float
    reused: bool
    inputs: dict[str, str]
    outputs: dict[str, int]
    counts: dict[str, int]
    metrics: dict[str, float]


@masked_repr
@dataclass(frozen=True)
class Overview:
    """Everything that a report shows.

    Attributes
    ----------
    output
        Location of the output.
    selection
        Name of the selection; ``None`` for the selection without a name.
    resolution
        The rule of ``select.resolution``.
    eps
        The threshold of the selection.
    counts
        Numbers of rows that were read, kept, removed and quarantined.
    tuning
        What other thresholds would keep.
    n_groups
        Number of kept rows that stand for removed ones.
    cluster_sizes
        Number of rows of each cluster.
    removed_per_cluster
        Number of removed rows of each cluster that has any.
    largest
        The groups of most rows.
    drawn
        Groups drawn at random.
    edges
        The removed rows nearest to the threshold, beside their survivors.
    uncovered
        Removed rows, drawn at random, that are less similar to their survivor than the threshold.
    reasons
        Why rows were rejected, the most frequent reason first.
    lineage
        The stages that made the selection.
    settings
        By stage: its settings as JSON, secrets masked; also those of the job file.
    software
        Names and versions of the software that made the selection.
    pictures
        Thumbnails of removed rows, by id as text.
    survivor_pictures
        Thumbnails of the rows that stand for them, by id as text.
    columns
        Name and value of the columns besides the text, of removed rows, by id as text.
    survivor_columns
        The same of the rows that stand for them.
    has_reference
        Whether the rows that stand for others are rows of a reference.
    """

    output: str
    selection: str | None
    resolution: str
    eps: float
    counts: dict[str, int]
    tuning: Tuning
    n_groups: int
    cluster_sizes: list[int]
    removed_per_cluster: list[int]
    largest: list[Group]
    drawn: list[Group]
    edges: list[Example]
    uncovered: list[Example]
    reasons: list[Reason]
    lineage: list[StageLine]
    settings: dict[str, str]
    software: dict[str, str]
    pictures: dict[str, Thumbnail]
    survivor_pictures: dict[str, Thumbnail]
    columns: dict[str, tuple[tuple[str, str], ...]]
    survivor_columns: dict[str, tuple[tuple[str, str], ...]]
    has_reference: bool
