"""Which file of one folder goes with which of another: by what their names differ in."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import takewhile

_NUMBER = re.compile(r"\d+")
_Key = str | tuple[int, ...]


def pair(first: Sequence[str], second: Sequence[str]) -> list[str] | None:
    """The files of ``second`` in the order of those of ``first`` that they go with.

    What all names of one side share says nothing, so that ``img_emb_2.npy`` goes with
    ``metadata_002.parquet``: numbers are compared as numbers. Of a file on either side alone its
    last number, where both have one, decides.

    Parameters
    ----------
    first, second : sequence of str
        Paths, each once.

    Returns
    -------
    list of str or None
        ``None`` where a name has no partner, or more than one.
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
    """Below their common folder and without their ending."""
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.splitext(os.path.relpath(path, folder))[0] for path in paths]


def _texts(paths: Sequence[str]) -> Sequence[_Key]:
    """What the names differ in, with numbers that are written as numbers are."""
    names = _names(paths)
    begin = _alike(names)
    # A number that only begins alike, as in 10 and 11, is compared as a whole.
    while begin and names[0][begin - 1].isdigit():
        begin -= 1
    rest = [name[begin:] for name in names]
    end = _alike([name[::-1] for name in rest])
    while end and rest[0][len(rest[0]) - end].isdigit():
        end -= 1
    return [_NUMBER.sub(lambda n: str(int(n[0])), name[: len(name) - end]) for name in rest]


def _alike(texts: Sequence[str]) -> int:
    """How many characters all texts begin with."""
    return sum(1 for _ in takewhile(lambda here: len(set(here)) == 1, zip(*texts, strict=False)))


def _numbers(paths: Sequence[str]) -> Sequence[_Key]:
    """All numbers of what the names differ in."""
    return [tuple(map(int, _NUMBER.findall(str(text)))) for text in _texts(paths)]
