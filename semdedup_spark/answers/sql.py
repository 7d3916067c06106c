"""The rows of a SQL query, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from semdedup_spark.visible import visible


@dataclass(frozen=True)
class Answer:
    """The rows of a query.

    Attributes
    ----------
    columns
        Names of its columns, each once.
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


def numbered(names: Iterable[str]) -> list[str]:
    """Number the names that occur again.

    Parameters
    ----------
    names
        Names of columns, such as ``n, n``.

    Returns
    -------
    list[str]
        As many names, each once, such as ``n, n_2``. The first of equal names stays as it is.
    """
    given = list(names)
    own: dict[str, None] = {}
    for name in given:
        chosen, n = name, 1
        while chosen in own or (n > 1 and chosen in given):
            n += 1
            chosen = f"{name}_{n}"
        own[chosen] = None
    return list(own)


def csv_text(rows: Iterable[Sequence[str | None]]) -> str:
    """Write rows as CSV.

    Parameters
    ----------
    rows
        The names of the columns, then the rows.

    Returns
    -------
    str
        A null is empty and an empty text is ``""``. Alone in its row a null is ``""`` too, because
        readers pass over an empty line.
    """
    lines = (",".join(map(_field, row)) or '""' for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _field(value: str | None) -> str:
    if value is None:
        return ""
    bare = value.isprintable() and value == value.strip() and not set(value) & {",", '"'}
    return value if value and bare else '"' + value.replace('"', '""') + '"'


def json_text(document: str) -> str:
    """Escape what JSON may hold as it is, but a terminal must not: controls and invisible marks.

    Parameters
    ----------
    document
        JSON.

    Returns
    -------
    str
        JSON of the same meaning.
    """
    # In JSON such characters stand only in texts and names, where each may be an escape.
    hidden = {ord(c): _escaped(c) for c in set(document) if visible(c, lines=False) != c}
    return document.translate(hidden)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
