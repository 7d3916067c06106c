"""Shuffling of a stream of rows in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

Row = dict[str, Any]


def shuffled(rows: Iterator[Row], window: int, random: np.random.Generator) -> Iterator[Row]:
    """Shuffle rows within a moving window.

    Parameters
    ----------
    rows
        Rows to shuffle.
    window
        Rows held in memory. Each row is drawn at random from the next ``window`` rows.
    random
        Source of the random numbers.

    Yields
    ------
    Row
        Each row once.
    """
    held = list(islice(rows, max(window, 1)))
    for row in rows:
        place = int(random.integers(len(held)))
        drawn, held[place] = held[place], row
        yield drawn
    for place in random.permutation(len(held)):
        yield held[place]
