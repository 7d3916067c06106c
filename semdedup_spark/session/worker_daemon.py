"""Start the Python workers of a local session: Spark's own daemon, from a shorter search path.

Spark puts its Python sources, zipped, and its core jar in front of the search path. Before each
task a worker empties Python's caches of folders, whereupon Python 3.10 to 3.12 read the list of
files of each archive again: 0.1 to 0.3 s a task. Where pyspark is installed nobody needs them.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec

_OF_SPARK = re.compile(r"(pyspark\.zip|py4j-[^/\\]*-src\.zip|spark-core_[^/\\]*\.jar)$")


def without_archives(path: Iterable[str]) -> list[str]:
    """Drop the archives that Spark puts in front of Python's search path.

    Parameters
    ----------
    path
        As ``sys.path``.

    Returns
    -------
    list[str]
        The other entries, in order.
    """
    return [entry for entry in path if not _OF_SPARK.search(entry)]


def _shorten_path() -> None:
    """Leave the path as it is if pyspark cannot be imported without the archives."""
    before = list(sys.path)
    sys.path[:] = without_archives(before)
    sys.path_importer_cache.clear()
    if find_spec("pyspark") is None:
        sys.path[:] = before


def main() -> None:
    """Fork a worker whenever Spark asks for one, until Spark closes the pipe."""
    _shorten_path()
    import pyspark.worker  # noqa: F401  what all workers need is imported once
    from pyspark.daemon import manager

    # What is there already is never garbage: collections after each task pass over it.
    gc.collect()
    gc.freeze()
    manager()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
