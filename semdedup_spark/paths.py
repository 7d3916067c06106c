"""Paths as users write them: relative, absolute, or with a scheme such as ``s3a:``."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

from semdedup_spark.errors import SourceError

# Two letters or more: C:/ is a drive.
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_PYARROW_SCHEMES = {"s3a": "s3", "s3n": "s3"}


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
        ``/x`` for ``file:/x``, the mount ``/dbfs/x`` for ``dbfs:/x``; ``None`` for other schemes.
    """
    scheme = _URI.match(path)
    if scheme is None:
        return os.path.abspath(path)
    below = "/" + path[scheme.end() :].lstrip("/")
    return {"file": below, "dbfs": "/dbfs" + below}.get(scheme[1].lower())


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
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", whole)


def open_stream(path: str, *, seekable: bool = False) -> Any:
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

    Returns
    -------
    binary stream
        The caller closes it.
    """
    place = local(path)
    if place is not None:
        return open(place, "rb")  # the caller closes it
    from pyarrow import ArrowInvalid, ArrowNotImplementedError, fs

    scheme, _, rest = path.partition(":")
    try:
        uri = f"{_PYARROW_SCHEMES.get(scheme, scheme)}:{quote(rest, safe='/@:')}"
        system, inside = fs.FileSystem.from_uri(uri)
    except (ArrowInvalid, ArrowNotImplementedError) as error:
        return _open_by_fsspec(path, error)
    if seekable:
        return system.open_input_file(inside)
    return system.open_input_stream(inside, compression=None, buffer_size=1 << 20)


def _open_by_fsspec(path: str, error: Exception) -> Any:
    try:
        import fsspec

        return fsspec.open(path, "rb").open()
    except (ImportError, ValueError) as other:
        raise SourceError(
            "source.path must lie where Python can open it: a local or mounted path, s3, gs, abfs "
            f"or hdfs. Got {path!r}: {error}",
            hint="mount it, copy it, or install the fsspec package for this scheme.",
        ) from other
