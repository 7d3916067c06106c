"""The words in which two texts differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from semdedup_spark.visible import shown

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_SHOWN = 360
# More characters than are shown, so that words at the cut are not taken for a difference.
_COMPARED = 1500
# Characters shown before the first difference.
_BEFORE = 100


@dataclass(frozen=True)
class Piece:
    """A stretch of text.

    Attributes
    ----------
    text
        The stretch itself.
    differs
        Whether the other text lacks it.
    """

    text: str
    differs: bool = False


def marked(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Divide two texts into pieces that the other one has or lacks.

    Parameters
    ----------
    a
        One text.
    b
        The other text.

    Returns
    -------
    tuple of list of Piece
        The pieces of ``a`` and those of ``b``, secrets masked, control characters as symbols. Of
        long texts only about 360 characters are returned. They begin a little before the first
        difference.
    """
    a, b = shown(a), shown(b)  # a piece no longer shows that it is part of a secret
    start = _start(a, b)
    left, right = (text[start : start + _COMPARED] for text in (a, b))
    one, other = _WORDS.findall(left), _WORDS.findall(right)
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for side, words in zip(pieces, (one[a0:a1], other[b0:b1]), strict=True):
            text = "".join(words)
            if text:
                side.append(Piece(text, tag != "equal" and not text.isspace()))
    cut = tuple(_cut(side, len(whole) - start) for side, whole in zip(pieces, (a, b), strict=True))
    for side, whole in zip(cut, (a, b), strict=True):
        if start and whole:
            side.insert(0, Piece("… "))
    return cut[0], cut[1]


def _cut(pieces: list[Piece], whole: int) -> list[Piece]:
    """Return the first 360 characters of a text of ``whole`` characters."""
    kept: list[Piece] = []
    left = _SHOWN
    for piece in pieces:
        if left <= 0:
            break
        kept.append(Piece(piece.text[:left], piece.differs))
        left -= len(piece.text)
    return [*kept, Piece(" …")] if whole > _SHOWN else kept


def shortened(text: str, most: int = _SHOWN) -> str:
    """Return the beginning of a text.

    Parameters
    ----------
    text
        Any text.
    most
        Highest number of characters to show.

    Returns
    -------
    str
        The first ``most`` characters, secrets masked, control characters as symbols. An ellipsis
        marks a cut.
    """
    text = shown(text)  # a beginning no longer shows that it is part of a secret
    return text if len(text) <= most else text[:most] + " …"


def names(*ids: str) -> list[str]:
    """Name rows by the ends of their paths.

    Parameters
    ----------
    *ids
        Ids of rows that are shown together: paths, addresses, or any other texts.

    Returns
    -------
    list of str
        For each id what follows its last slash. Where two different ids would have one name, both
        keep as many folders as tell them apart. Other ids are returned whole.
    """
    parts = [[part for part in each.split("/") if part] or [each] for each in ids]
    told = [1] * len(ids)
    different = {(i, j) for i in range(len(ids)) for j in range(i) if ids[i] != ids[j]}
    for i, j in sorted(different):
        most = max(len(parts[i]), len(parts[j]))
        tails = (n for n in range(1, most + 1) if parts[i][-n:] != parts[j][-n:])
        same = next(tails, most + 1)
        told[i], told[j] = max(told[i], same), max(told[j], same)
    return [
        each if n > len(own) else "/".join(own[-n:])
        for each, own, n in zip(ids, parts, told, strict=True)
    ]


def _start(a: str, b: str) -> int:
    if max(len(a), len(b)) <= _SHOWN:
        return 0
    pairs = enumerate(zip_longest(a, b))
    first = next((place for place, (x, y) in pairs if x != y), 0)
    start = max(0, min(first - _BEFORE, max(len(a), len(b)) - _SHOWN))
    return start if start < min(len(a), len(b)) else 0
