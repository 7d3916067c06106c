"""From pictures, as files or as bytes, to unit vectors, with a reason for each that has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from semdedup_spark.config import SourceConfig
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import SourceError
from semdedup_spark.in_memory.contents import Contents, encoded
from semdedup_spark.in_memory.rows import Rows, is_binary

Picture: TypeAlias = Path | bytes | None

_MOST_BYTES: int = SourceConfig.model_fields["max_bytes"].default
_SHOWN_FROM = 200  # Pictures; fewer are done before a bar can be read.


def pictures_of(rows: Rows, content: str) -> list[Picture]:
    """Take the pictures of the rows. Files are not read yet.

    Parameters
    ----------
    rows
        n rows.
    content
        The column of the pictures, files as bytes; not needed for a list.

    Returns
    -------
    list[Picture]
        n pictures.

    Raises
    ------
    SourceError
        The column holds something else.
    """
    if rows.are_files:
        return list(rows.data)
    column = rows.column(content, "content")
    if not is_binary(column.type):
        raise SourceError(
            f"content must name a column of pictures, files as bytes. Got {column.type} in "
            f"{content!r}.",
            hint="give a folder or a list of files as pathlib.Path, a column with their bytes, or "
            "an encoder of texts.",
        )
    return list(column.to_pylist())


def hold_pictures(rows: Rows, content: str) -> bool:
    """Tell whether rows are pictures.

    Parameters
    ----------
    rows
        The rows.
    content
        The column that they are compared by.

    Returns
    -------
    bool
        Whether they are files, or that column has bytes.
    """
    return rows.are_files or rows.holds_bytes(content)


def encoded_pictures(
    pictures: Sequence[Picture],
    spec: EncoderSpec,
    threads: int | None = None,
    *,
    sizes: Sequence[int] | None = None,
) -> Contents:
    """Encode pictures. A bar shows how far it is, where there are many.

    Parameters
    ----------
    pictures
        n pictures. Files are read when their turn comes.
    spec
        The encoder.
    threads
        See :func:`~semdedup_spark.in_memory.contents.encoded`.
    sizes
        Their sizes in bytes, of files; not needed for bytes.

    Returns
    -------
    Contents
        Their vectors, and the reasons that the job would give.
    """
    known = sizes if sizes is not None else list(map(_size, pictures))
    reasons = [_reason(*each) for each in zip(pictures, known, strict=True)]
    there = [row for row, reason in enumerate(reasons) if reason is None]
    if not there:
        return Contents(np.empty((0, 0), np.float32), np.empty(0, np.int64), reasons)
    X, refused = encoded(
        [pictures[row] for row in there], spec, threads, read=bytes_of, many=_SHOWN_FROM
    )
    for row, reason in zip(there, refused, strict=True):
        reasons[row] = reason
    good = np.flatnonzero([reason is None for reason in refused])
    return Contents(X[good], np.array(there, dtype=np.int64)[good], reasons)


def bytes_of(picture: Picture) -> bytes:
    """Read a picture.

    Parameters
    ----------
    picture
        Its file or its bytes.

    Returns
    -------
    bytes
        What the file holds; nothing for ``None``.
    """
    return picture.read_bytes() if isinstance(picture, Path) else picture or b""


def _size(picture: Picture) -> int:
    return picture.stat().st_size if isinstance(picture, Path) else len(picture or b"")


def _reason(picture: Picture, size: int) -> str | None:
    if picture is None:
        return "null_image"
    if not size:
        return "empty_image"
    return "too_many_bytes" if size > _MOST_BYTES else None
