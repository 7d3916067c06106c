"""Pair the files of two folders by the parts in which their names differ."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import takewhile

_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_Key = str | tuple[int, ...]


def pair(first: Sequence[str], second: Sequence[str]) -> list[str] | None:
    """Find for each file of ``first`` its partner in ``second``.

    The parts that all names of one side share are ignored, and numbers are compared as numbers.
    So ``img_emb_2.npy`` goes with ``metadata_002.parquet``. A single file on each side is a pair
    unless both names have a number and their last numbers differ. Names of a pair that have as many
    numbers as each other must have the same numbers, the shared ones included.

    Parameters
    ----------
    first
        Paths, without repetition.
    second
        Paths, without repetition.

    Returns
    -------
    list[str] | None
        The paths of ``second`` in the order of their partners in ``first``. ``None`` if a file
        has no partner, or several, or one whose name says that it belongs to another.
    """
    found = _partners(first, second) if len(first) == len(second) else None
    if found is None or _numbers_differ(first, found) or _words_differ(first, found):
        return None
    return found


def _partners(first: Sequence[str], second: Sequence[str]) -> list[str] | None:
    if len(first) == 1:
        ends = [_NUMBER.findall(_names([one])[0])[-1:] for one in (first[0], second[0])]
        differ = all(ends) and int(ends[0][0]) != int(ends[1][0])
        return None if differ else list(second)
    for keys_of in (_texts, _numbers):
        keys, others = keys_of(first), keys_of(second)
        partner = dict(zip(others, second, strict=True))
        if len(set(keys)) == len(keys) == len(partner) and set(keys) == set(others):
            return [partner[key] for key in keys]
    return None


def _numbers_differ(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a pair has equally many numbers, but others. Their places then mean the same, as in
    ``emb_2_0`` and ``ids_10_0``.
    """
    sides = (map(_all_numbers, _names(paths)) for paths in (first, second))
    return any(len(a) == len(b) and a != b for a, b in zip(*sides, strict=True))


def _words_differ(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a name of a pair has words that only another name of the other side has."""
    words, others = _words(first), _words(second)
    elsewhere = (set(words) & set(others)) - {()}
    pairs = zip(words, others, strict=True)
    return any(a != b and bool({a, b} & elsewhere) for a, b in pairs)


def _words(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The words of each name without those that all names share."""
    found = [_WORD.findall(name) for name in _names(paths)]
    shared = set(found[0]).intersection(*found)
    return [tuple(word for word in words if word not in shared) for words in found]


def _names(paths: Sequence[str]) -> list[str]:
    """Names relative to the common folder, without their extension."""
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.splitext(os.path.relpath(path, folder))[0] for path in paths]


def _texts(paths: Sequence[str]) -> Sequence[_Key]:
    """The parts in which the names differ. Numbers lose their leading zeros."""
    names = _names(paths)
    begin = _alike(names)
    # Do not cut a number apart: 10 and 11 share a digit but are compared as a whole.
    while begin and names[0][begin - 1].isdigit():
        begin -= 1
    rest = [name[begin:] for name in names]
    end = _alike([name[::-1] for name in rest])
    while end and rest[0][len(rest[0]) - end].isdigit():
        end -= 1
    return [_NUMBER.sub(lambda n: str(int(n[0])), name[: len(name) - end]) for name in rest]


def _alike(texts: Sequence[str]) -> int:
    """Length of the common prefix of all texts, in characters."""
    return sum(1 for _ in takewhile(lambda here: len(set(here)) == 1, zip(*texts, strict=False)))


def _numbers(paths: Sequence[str]) -> Sequence[_Key]:
    """All numbers within the parts in which the names differ."""
    return [_all_numbers(str(text)) for text in _texts(paths)]


def _all_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(text)))
