"""Pair the files of two folders by the parts in which their names differ."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import takewhile

_NUMBER = re.compile(r"\d+")
_Key = str | tuple[int, ...]


def pair(first: Sequence[str], second: Sequence[str]) -> list[str] | None:
    """Find for each file of ``first`` its partner in ``second``.

    The parts that all names of one side share are ignored, and numbers are compared as numbers.
    So ``img_emb_2.npy`` goes with ``metadata_002.parquet``. A single file on each side is a pair
    unless both names have a number and their last numbers differ.

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
        has no partner, or several.
    """
    if len(first) != len(second):
        return None
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
    return [tuple(map(int, _NUMBER.findall(str(text)))) for text in _texts(paths)]
