"""What Spark would not read of the files of a source, known by their names alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import local

_LOG = logging.getLogger(__name__)


def check_names(files: Sequence[str]) -> None:
    """Raise :class:`SourceError` for names that Spark cannot open, or does not even list.

    As :func:`tell_hidden`, only where this machine has the files: other file systems have no such
    names, or cannot be asked.

    Parameters
    ----------
    files : sequence of str
        Percent-encoded URIs, as ``DataFrame.inputFiles`` has them.
    """
    places = _places(files)
    # Hadoop takes what stands before a colon for a scheme.
    bad = [place for place in places if ":" in os.path.basename(place)]
    # Java has no bytes that are no text, and passes over such a name.
    bad += [entry.path for entry in _beside(places) if not _is_utf8(entry.name)]
    if bad:
        raise SourceError(
            "source.path must hold files whose names have no colon and are UTF-8: Spark cannot "
            f"read others. Got {bad[0]!r}.",
            hint="rename it, or move it out of source.path.",
        )


def tell_hidden(files: Sequence[str]) -> None:
    """Log how many files beside these, and with their endings, Spark passes over for their names'
    first character.
    """
    places = _places(files)
    endings = {_ending(place) for place in places} - {""}
    hidden = sorted(
        entry.path
        for entry in _beside(places)
        if _is_hidden(entry.name) and _ending(entry.name) in endings and entry.is_file()
    )
    if hidden:
        _LOG.warning(
            "%d files beside those of source.path are not read, as their names begin with _ or "
            "a dot; one is %r",
            len(hidden),
            hidden[0],
        )


def _places(files: Sequence[str]) -> list[str]:
    return [local(unquote(file)) or "" for file in files if file.startswith("file:")]


def _beside(places: Sequence[str]) -> Iterator[os.DirEntry[str]]:
    """Whatever lies in the folders of the files."""
    for folder in sorted({os.path.dirname(place) for place in places}):
        if os.path.isdir(folder):
            with os.scandir(folder) as entries:
                yield from entries


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_utf8(name: str) -> bool:
    """Python keeps a byte that is no text as half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_hidden(name: str) -> bool:
    """Spark's rule; a name such as ``_k=v`` is that of a partition."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def check_all_read(read: Sequence[str], there: Sequence[str], source: SourceConfig) -> None:
    """Raise :class:`SourceError` if files at ``source.path``, at any depth, are not ``read``: Spark
    takes folders below for partitions, and passes over those that are none.
    """
    left = sorted(set(there) - set(read))
    if left and source.option("recursiveFileLookup") is None:
        raise SourceError(
            "source.path must be a folder whose files Spark reads all: those directly in it, or "
            f"those in partitions such as day=1. {len(left):,} of {len(there):,} files lie in "
            f"other folders below, such as {unquote(left[0])}.",
            hint='set source.options to {recursiveFileLookup: "true"} to read these too, or to '
            '"false" to leave them out, or name the files by a pattern.',
        )
