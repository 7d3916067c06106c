"""Find files of a source that Spark would not read because of their names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import local

_LOG = logging.getLogger(__name__)


def check_names(
    files: Sequence[str], *, opened: bool = True, endings: tuple[str, ...] = ("",)
) -> None:
    """Refuse files whose names Spark cannot open or does not list.

    Only files on this machine are checked, as in :func:`tell_hidden`. Other file systems have no
    such names, or cannot be listed from here.

    Parameters
    ----------
    files
        Percent-encoded URIs, as ``DataFrame.inputFiles`` returns them.
    opened
        Whether Spark itself opens the files. If not, a colon does no harm.
    endings
        Endings, in lower case, of the names that count among the files that Spark does not list.

    Raises
    ------
    SourceError
        If a name has a colon or is not UTF-8.
    """
    places = _places(files)
    # Hadoop takes the text before a colon for a URI scheme.
    bad = [place for place in places if opened and ":" in os.path.basename(place)]
    # Java cannot represent a name that is not valid text, and skips the file.
    bad += [
        entry.path
        for entry in _beside(places)
        if not _is_utf8(entry.name) and entry.name.lower().endswith(endings)
    ]
    if bad:
        wanted = "have no colon and are UTF-8" if opened else "are UTF-8"
        raise SourceError(
            f"source.path must hold files whose names {wanted}, because Spark cannot read others. "
            f"Got {bad[0]!r}.",
            hint="rename the file, or move it out of source.path.",
        )


def tell_hidden(files: Sequence[str]) -> None:
    """Log how many files in the same folders Spark skips as hidden, or that none is left.

    Only files on this machine with the extension of a file that is read are counted.

    Parameters
    ----------
    files
        Percent-encoded URIs, as ``DataFrame.inputFiles`` returns them.
    """
    if not files:
        _LOG.warning("source.path has no files whose names do not begin with _ or a dot")
    places = _places(files)
    endings = {_ending(place) for place in places} - {""}
    hidden = sorted(
        entry.path
        for entry in _beside(places)
        if _is_hidden(entry.name) and _ending(entry.name) in endings and entry.is_file()
    )
    if hidden:
        _LOG.warning(
            "%d files beside those of source.path are not read, because their names begin with _ "
            "or a dot. One of them is %r",
            len(hidden),
            hidden[0],
        )


def tell_left_out(files: Sequence[str], read: Sequence[str], endings: Sequence[str]) -> None:
    """Log how many files are not read because of the endings of their names.

    Parameters
    ----------
    files
        Percent-encoded URIs of files, of which some may be read.
    read
        Those of the files that are read.
    endings
        The endings of names that are read.
    """
    left = sorted(set(files) - set(read))
    if left:
        _LOG.warning(
            "%d files of source.path are not read, because their names do not end with %s. One of "
            "them is %r",
            len(left),
            _either(endings),
            unquote(left[0]),
        )


def check_any(read: Sequence[str], source: SourceConfig, endings: Sequence[str]) -> None:
    """Refuse a source without a file whose name has one of the endings.

    Parameters
    ----------
    read
        The files that are read.
    source
        The source.
    endings
        The endings of names that are read.

    Raises
    ------
    SourceError
        If there is no such file.
    """
    if not read:
        raise SourceError(
            f"source.path must match at least one file whose name ends with {_either(endings)}. "
            f"Got {source.path!r}, which has none.",
            hint="check the path, and rename or unpack files that end otherwise. Files whose names "
            "begin with _ or a dot are not read.",
        )


def _either(endings: Sequence[str]) -> str:
    return f"{', '.join(endings[:-1])} or {endings[-1]}"


def _places(files: Sequence[str]) -> list[str]:
    return [local(unquote(file)) or "" for file in files if file.startswith("file:")]


def _beside(places: Sequence[str]) -> Iterator[os.DirEntry[str]]:
    """All entries of the folders that hold the files."""
    for folder in sorted({os.path.dirname(place) for place in places}):
        if os.path.isdir(folder):
            with os.scandir(folder) as entries:
                yield from entries


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_utf8(name: str) -> bool:
    """Whether the name is valid text. Python decodes an invalid byte to a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _is_hidden(name: str) -> bool:
    """Spark's rule for hidden files. A name such as ``_k=v`` is a partition and not hidden."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def check_all_read(read: Sequence[str], there: Sequence[str], source: SourceConfig) -> None:
    """Refuse a source of which Spark would skip files in folders below.

    Spark takes folders below ``source.path`` for partitions, and skips those that are none.

    Parameters
    ----------
    read
        Percent-encoded URIs of the files that Spark reads.
    there
        Percent-encoded URIs of all files at ``source.path``, at any depth.
    source
        The source. Its option recursiveFileLookup settles the question.

    Raises
    ------
    SourceError
        If there are files that Spark does not read, and the option is not set.
    """
    left = sorted(set(there) - set(read))
    if left and source.option("recursiveFileLookup") is None:
        raise SourceError(
            "source.path must be a folder of which Spark reads all files: those directly in it, or "
            f"those in partitions such as day=1. {len(left):,} of {len(there):,} files lie in "
            f"other folders below, such as {unquote(left[0])}.",
            hint='set source.options to {recursiveFileLookup: "true"} to read these files too, or '
            'to {recursiveFileLookup: "false"} to leave them out, or name the files by a pattern.',
        )
