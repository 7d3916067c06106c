"""Whether a job is so small that starting Java costs more than running it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from semdedup_spark.paths import local

# On more than this, code that was compiled thoroughly is worth the time that it takes: of 100,000
# vectors of 384 numbers (150 MB) it is not, of a million (1.6 GB) it is.
MOST_BYTES = 128 * 2**20
# The same for texts, of which 100,000 may be as small as this.
MOST_TEXT_BYTES = 8 * 2**20
# Files of a source that are looked at.
MOST_FILES = 20_000


def is_little(paths: Iterable[str | None], most_bytes: int = MOST_BYTES) -> bool:
    """Tell whether sources are small files on this machine.

    Parameters
    ----------
    paths
        Their paths. ``None``: a table of a catalog.
    most_bytes
        Bytes that all of them may have together.

    Returns
    -------
    bool
        False also where it is not known without Spark: for tables of a catalog, patterns, and
        other file systems.
    """
    total = 0
    for path in paths:
        place = None if path is None else local(path)
        if place is None or not os.path.exists(place):
            return False
        for n, size in enumerate(_sizes(place)):
            total += size
            if total > most_bytes or n >= MOST_FILES:
                return False
    return True


def _sizes(place: str) -> Iterator[int]:
    if os.path.isfile(place):
        yield os.path.getsize(place)
    for folder, _, names in os.walk(place):
        for name in names:
            try:
                yield os.stat(os.path.join(folder, name)).st_size
            except OSError:  # it went, or may not be read: Spark says so
                continue
