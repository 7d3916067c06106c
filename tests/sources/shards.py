"""Helpers that make small tar shards."""

from __future__ import annotations

import io
import tarfile


def tar_bytes(files, mode="w"):
    """A tar of (name, content) pairs. The content ``None`` makes a dangling link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "nowhere"
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def samples_of(n, *, of=("jpg", "txt", "json"), first=0):
    """Files of n samples as img2dataset writes them. Each has different bytes."""
    for i in range(first, first + n):
        for member in of:
            content = (
                f'{{"uid": "u{i}", "caption": "json {i}"}}' if member == "json" else f"{member} {i}"
            )
            yield f"{i:05d}.{member}", content.encode()
