"""Two texts side by side: which words differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from semdedup_spark.visible import visible

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_SHOWN = 360
_COMPARED = 1500  # words beyond what is shown tell a difference from a cut
_BEFORE = 100


@dataclass(frozen=True)
class Piece:
    """A stretch of text, and whether the other text lacks it."""

    text: str
    differs: bool = False


def marked(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces. Of long ones about 360 characters are shown, from a little before the
    first difference on.
    """
    a, b = visible(a), visible(b)
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
    """The first of them, of a text of ``whole`` characters."""
    kept: list[Piece] = []
    left = _SHOWN
    for piece in pieces:
        if left <= 0:
            break
        kept.append(Piece(piece.text[:left], piece.differs))
        left -= len(piece.text)
    return [*kept, Piece(" …")] if whole > _SHOWN else kept


def shortened(text: str, most: int = _SHOWN) -> str:
    """The beginning, made visible."""
    text = visible(text)
    return text if len(text) <= most else text[:most] + " …"


def ending(text: str, most: int = 30) -> str:
    """The end, made visible: of paths the part that tells them apart."""
    text = visible(text)
    return text if len(text) <= most else "…" + text[-most:]


def _start(a: str, b: str) -> int:
    if max(len(a), len(b)) <= _SHOWN:
        return 0
    pairs = enumerate(zip_longest(a, b))
    first = next((place for place, (x, y) in pairs if x != y), 0)
    start = max(0, min(first - _BEFORE, max(len(a), len(b)) - _SHOWN))
    return start if start < min(len(a), len(b)) else 0
