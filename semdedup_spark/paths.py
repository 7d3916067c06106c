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
    """A local path made absolute; one with a scheme (``s3://b/k``, ``hdfs:/x``) as it is, without
    slashes at its end.
    """
    if _URI.match(path) is None:
        return os.path.abspath(path)
    bare = path.rstrip("/")
    return bare if _URI.match(bare) else path  # hdfs:/// is a root


def local(path: str) -> str | None:
    """Where this machine's file system has the path (``file:/x``: ``/x``; ``dbfs:/x``: its mount
    ``/dbfs/x``); ``None`` where it has not.
    """
    scheme = _URI.match(path)
    if scheme is None:
        return os.path.abspath(path)
    below = "/" + path[scheme.end() :].lstrip("/")
    return {"file": below, "dbfs": "/dbfs" + below}.get(scheme[1].lower())


def as_pattern(path: str) -> str:
    """The path as Spark's readers of files take it, for whom ``{}[]*?`` and backslashes make a
    pattern: what is there under just this name on a file system of this machine is no pattern.
    """
    place, whole = local(path), absolute(path)
    if place is None or not os.path.exists(place):
        return whole
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", whole)


def open_stream(path: str, *, seekable: bool = False) -> Any:
    """A binary stream of a file, read bit by bit, or here and there if ``seekable``, wherever
    Python can open it: a local or mounted path, what pyarrow knows (S3, GCS, Azure, HDFS), else
    what an installed fsspec knows.

    Credentials are the machine's own (environment, instance profile). ``path``: not
    percent-encoded, as Spark's ``path`` column has it. Raises :class:`SourceError` for a scheme
    that nothing here can open; ``OSError`` where opening fails.
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
