"""Paths as users write them: relative, absolute, or with a scheme such as ``s3a:``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from semdedup_spark.errors import SourceError

# Two letters or more: C:/ is a drive.
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_PYARROW_SCHEMES = {"s3a": "s3", "s3n": "s3"}
# Of s3://bucket pathlib leaves s3:/bucket.
_BUCKET = re.compile(r"(s3[an]?|gs|abfss?):/+")


def absolute(path: str) -> str:
    """Make a local path absolute.

    Parameters
    ----------
    path
        As a user writes it.

    Returns
    -------
    str
        The absolute path. A path with a scheme (``s3://b/k``, ``hdfs:/x``) only loses trailing
        slashes.
    """
    if _URI.match(path) is None:
        return os.path.abspath(path)
    bare = path.rstrip("/")
    return bare if _URI.match(bare) else path  # hdfs:/// is a root


def local(path: str) -> str | None:
    """Find a path in the file system of this machine.

    Parameters
    ----------
    path
        As a user writes it.

    Returns
    -------
    str or None
        ``/x`` for ``file:/x``; of Databricks the mounts, ``/dbfs/x`` for ``dbfs:/x`` and
        ``/Volumes/x`` for ``dbfs:/Volumes/x``; ``None`` for other schemes.
    """
    scheme = _URI.match(path)
    if scheme is None:
        return os.path.abspath(path)
    below = "/" + path[scheme.end() :].lstrip("/")
    mount = below if below.startswith("/Volumes/") else "/dbfs" + below
    return {"file": below, "dbfs": mount}.get(scheme[1].lower())


def as_pattern(path: str) -> str:
    """Escape a path for Spark's readers, for whom ``{}[]*?`` and backslashes make a pattern.

    Parameters
    ----------
    path
        As a user writes it.

    Returns
    -------
    str
        A path that exists on this machine under exactly this name is escaped; any other is a
        pattern.
    """
    place, whole = local(path), absolute(path)
    if place is None or not os.path.exists(place):
        return whole
    return escaped(whole)


def escaped(path: str) -> str:
    """Escape what makes a path a pattern for Spark's readers.

    Parameters
    ----------
    path
        The exact name of a file or folder.

    Returns
    -------
    str
        A pattern that matches this name alone.
    """
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", path)


def open_stream(path: str, *, seekable: bool = False, option: str = "source.path") -> Any:
    """Open a file wherever Python can read it.

    That is a local or mounted path, what pyarrow knows (S3, GCS, Azure, HDFS), else what an
    installed fsspec knows. Credentials are the machine's own (environment, instance profile).
    Raises :class:`SourceError` if nothing installed can open the scheme, ``OSError`` if opening
    fails.

    Parameters
    ----------
    path
        Not percent-encoded, as Spark's ``path`` column has it.
    seekable
        Whether the stream is read at any place; otherwise from begin to end.
    option
        Where the path was named, for the error.

    Returns
    -------
    binary stream
        The caller closes it.
    """
    place = local(path)
    if place is not None:
        return open(place, "rb")  # the caller closes it
    system, inside = _file_system(path, option)
    if system is None:
        return inside("rb")
    if seekable:
        return system.open_input_file(inside)
    return system.open_input_stream(inside, compression=None, buffer_size=1 << 20)


def writer(path: str, *, option: str) -> Callable[[], Any]:
    """Find what writes a file where :func:`open_stream` reads one that is on no mounted path.

    Raises :class:`SourceError` if nothing installed can open the scheme.

    Parameters
    ----------
    path
        A path for which :func:`local` gives ``None``.
    option
        Where the path was named, for the error.

    Returns
    -------
    Callable
        Opens a binary stream. An object storage has the whole file once the caller closes it.
    """
    system, inside = _file_system(path, option)
    return lambda: inside("wb") if system is None else system.open_output_stream(inside)


def _file_system(path: str, option: str) -> tuple[Any, Any]:
    """A file system of pyarrow and the path in it, or none and what opens the path in a mode."""
    from pyarrow import ArrowInvalid, ArrowNotImplementedError, fs

    whole = _BUCKET.sub(r"\1://", path, count=1)
    scheme, _, rest = whole.partition(":")
    try:
        uri = f"{_PYARROW_SCHEMES.get(scheme, scheme)}:{quote(rest, safe='/@:')}"
        system, inside = fs.FileSystem.from_uri(uri)
    except (ArrowInvalid, ArrowNotImplementedError) as error:
        return None, _by_fsspec(whole, option, error)
    return system, inside


def _by_fsspec(path: str, option: str, error: Exception) -> Callable[[str], Any]:
    try:
        import fsspec

        fsspec.get_filesystem_class(path.partition(":")[0])
    except (ImportError, ValueError) as other:
        raise SourceError(
            f"{option} must lie where Python can open it: a local or mounted path, s3, gs, abfs "
            f"or hdfs. Got {path!r}: {error}",
            hint="mount it, copy it, or install the fsspec package for this scheme.",
        ) from other
    return lambda mode: fsspec.open(path, mode).open()
