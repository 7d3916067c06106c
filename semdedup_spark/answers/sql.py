"""The rows of a SQL query, as text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The rows of a query.

    Attributes
    ----------
    columns
        Names of its columns.
    numbers
        For each column, whether it holds numbers.
    rows
        For each row the text of its values; ``None`` where a value is null. Nested values are
        JSON, bytes are base64.
    documents
        For each row, the whole row as JSON.
    more
        Whether the query has more rows than were asked for.
    """

    columns: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[str | None, ...], ...]
    documents: tuple[str, ...]
    more: bool
