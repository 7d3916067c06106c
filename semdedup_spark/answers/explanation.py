"""Why one row was kept, removed or rejected, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Standing:
    """The line of a row in the table ``scores``, and its rank in its cluster.

    Attributes
    ----------
    cluster_id
        The cluster of the row.
    cluster_rows
        Number of rows in the cluster.
    rank_in_cluster
        Rank of the row, from 1, the most preferred row, to ``cluster_rows``.
    batch
        Number of the batch in which the row was embedded. An earlier batch ranks first.
    rank_key
        What ranks the row in its batch, as text. Bytes are written in hexadecimal digits.
    centroid_similarity
        Cosine similarity to the centroid, in [-1, 1].
    max_similarity
        M, the highest cosine similarity to a row that ranks earlier, in [0, 1].
    neighbor_id
        Id of that earlier row; ``None`` where M is 0.
    exhaustive
        Whether ``max_similarity`` is certified over all clusters up to ``eps_max``.
    kept_up_to
        The largest eps up to ``eps_max`` that keeps the row by the paper's rule; 0 for an exact
        copy.
    eps_max
        The horizon: the largest eps that the scores are complete for.
    """

    cluster_id: int
    cluster_rows: int
    rank_in_cluster: int
    batch: int
    rank_key: str
    centroid_similarity: float
    max_similarity: float
    neighbor_id: Any
    exhaustive: bool
    kept_up_to: float
    eps_max: float


@dataclass(frozen=True)
class Link:
    """A removed row and the earlier row that is the reason of its removal.

    Attributes
    ----------
    id
        Id of the removed row.
    neighbor_id
        Id of the earlier row; ``None`` where a decision of a person removed a row that has no
        neighbor.
    similarity
        Cosine similarity of the two rows; ``None`` where it is not known.
    """

    id: Any
    neighbor_id: Any
    similarity: float | None


@dataclass(frozen=True)
class Absorbed:
    """A removed row that a kept row stands for.

    Attributes
    ----------
    id
        Id of the removed row.
    similarity
        Cosine similarity to its neighbor, because of which it was removed.
    survivor_similarity
        Cosine similarity to the kept row, measured directly.
    """

    id: Any
    similarity: float | None
    survivor_similarity: float | None


@dataclass(frozen=True)
class Rejection:
    """A line of the table ``quarantine``.

    Attributes
    ----------
    stage
        Name of the stage that rejected the row.
    reason
        Code of the reason.
    message
        The reason in words, where the stage gave any.
    """

    stage: str
    reason: str
    message: str | None


@dataclass(frozen=True)
class Explanation:
    """Everything that the tables say about one row.

    Attributes
    ----------
    id
        Id of the row, in the type of its column.
    fate
        What became of the row; ``scored`` where no selection was made yet.
    selection
        Name of the selection; ``None`` for the selection without a name.
    eps
        The threshold of the selection.
    standing
        The line of the row in ``scores``; ``None`` for a row in quarantine.
    chain
        The way from a removed row to its survivor, neighbor by neighbor; at most 50 links.
    chain_complete
        Whether ``chain`` arrives at the survivor.
    reason
        Why the row was removed, as ``duplicates`` says it.
    protected_from
        Id of the row that would have removed this row, had ``must_agree`` not kept it.
    in_review_for
        Id of the kept row that the table ``review`` lists the row with.
    decision
        What a person decided about the row, and why.
    survivor_id
        Id of the kept row that stands for a removed one.
    survivor_similarity
        Cosine similarity to that row, measured directly.
    covered
        Whether that similarity alone would remove the row.
    n_absorbed
        Number of removed rows that a kept row stands for.
    absorbed
        The most similar of these rows.
    rejections
        Lines of ``quarantine`` that have this id.
    contents
        By id as text: texts of the rows that are named here.
    reference_contents
        By id as text: texts of neighbors and survivors, where these are rows of a reference; else
        ``None``.
    """

    id: Any
    fate: Literal["kept", "removed", "quarantined", "scored"]
    selection: str | None = None
    eps: float | None = None
    standing: Standing | None = None
    chain: list[Link] = field(default_factory=list)
    chain_complete: bool = True
    reason: str | None = None
    protected_from: Any = None
    in_review_for: Any = None
    decision: str | None = None
    survivor_id: Any = None
    survivor_similarity: float | None = None
    covered: bool | None = None
    n_absorbed: int = 0
    absorbed: list[Absorbed] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    reference_contents: dict[str, str] | None = None
