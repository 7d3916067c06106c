"""What a source hands to the pipeline: its rows at one version, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Choice:
    """Rows in which one row of each shared id is chosen.

    Attributes
    ----------
    rows
        As :attr:`SourceRows.rows`.
    between
        As :attr:`SourceRows.between`.
    """

    rows: DataFrame
    between: Callable[[int, int], DataFrame]


@dataclass(frozen=True)
class Twins:
    """Access to the rows of a source in which rows share an id.

    Attributes
    ----------
    candidates
        Returns all rows without a reason, with the column ``ORDER``. An encoder may accept any of
        them.
    choosing
        Takes what is known of the rows, as ``standing`` of :func:`numbered_copies`, and returns
        the choice that follows from it.
    """

    candidates: Callable[[], DataFrame]
    choosing: Callable[[DataFrame | None], Choice]


@dataclass(frozen=True)
class Added(Choice):
    """The rows that were added to the version of a source that was embedded last.

    Attributes
    ----------
    n_read
        Number of the rows.
    """

    n_read: int


@dataclass(frozen=True)
class SourceRows:
    """One source at one version.

    Attributes
    ----------
    rows
        Columns id, payload, source (struct of the own columns), reason, message, content_hash. A
        row with a reason has no payload, unless its column ``AGAIN`` is true.
    between
        Takes ``begin`` and ``end`` in [0, ``END_OF_PLACES``], and returns the rows whose place is
        in [begin, end). Each row has one place. Sources that support it read only that range.
        Otherwise the range is chosen by a hash of the payload, so equal payloads share a place.
    fingerprint
        The version of the source that is read.
    fingerprint_now
        Determines the fingerprint again.
    n_read
        Number of all rows.
    unique_ids
        Whether no two rows have the same id.
    has_id
        Whether the id is one of the own columns.
    own_columns
        Names of the columns that travel to the output.
    dimension
        Length of the vectors, ``None`` for other kinds.
    has_batch
        Whether ``rows`` has the column batch (int), which the source provides.
    twins
        Access to rows that share an id. ``None`` if ids are unique, or made from the content.
    schema
        Checksum of the names and types of the own columns.
    added
        The rows that were added since the last record of the stage, where all others are as they
        were embedded. ``None`` where that is not known.
    """

    rows: DataFrame
    between: Callable[[int, int], DataFrame]
    fingerprint: str
    fingerprint_now: Callable[[], str]
    n_read: int
    unique_ids: bool
    has_id: bool
    own_columns: list[str]
    dimension: int | None
    has_batch: bool = False
    twins: Twins | None = None
    schema: int = 0
    added: Added | None = None
