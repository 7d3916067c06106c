"""The bytes of a file, unpacked where it is compressed, within bounds of memory and time.

Python's own readers of gzip, bzip2 and xz do the work: unlike tarfile's they check sums and go on
where one compressed file follows another.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, Any

_AT_A_TIME = 1 << 20
# A dictionary may be as large as xz -9 makes it and then some; the format allows for 4 GiB.
_XZ_MEMORY = 256 << 20
# 45 bytes of bzip2 can hold gigabytes: more than this means that somebody wants a worker to hang.
_FREE_BYTES = 1 << 30
_MOST_TIMES = 256
_GZIP, _BZIP2, _XZ = (b"\x1f\x8b\x08",), (b"BZh",), (b"\xfd7zXZ", b"\x5d\x00\x00\x80")


class Unpacked:
    """``left``: how many bytes are still to come, where that is known; ``damage``: why reading
    ended before the file did, else ``None``.

    Parameters
    ----------
    stream
        Binary, read from where it is to its end; it need not be seekable.
    n_bytes
        Its length, where known.
    free_bytes
        As much may always come of it; beyond, no more than 256 times what was read.
    """

    def __init__(
        self, stream: IO[bytes], n_bytes: int | None = None, free_bytes: int = _FREE_BYTES
    ) -> None:
        self._free_bytes = free_bytes
        self.damage: str | None = None
        self._source = _Source(stream)
        buffered = io.BufferedReader(self._source, _AT_A_TIME)
        start = buffered.peek(16)
        self._stream: Any = buffered
        if start.startswith(_GZIP):
            self._stream = gzip.GzipFile(fileobj=buffered)
        elif start.startswith(_BZIP2):
            self._stream = bz2.BZ2File(buffered)
        elif start.startswith(_XZ):
            self._stream = io.BufferedReader(_Xz(buffered), _AT_A_TIME)
        self._compressed = self._stream is not buffered
        self.left = None if self._compressed else n_bytes
        self._given = 0

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end, where ``damage`` says what is wrong.

        Raises ``OSError`` where the stream itself fails, so that Spark tries the task again.
        """
        if self.damage is not None:
            return b""
        try:
            content: bytes = self._stream.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if self._source.failed:
                raise
            self.damage = str(error)
            return b""
        self._given += len(content)
        if self.left is not None:
            self.left = max(0, self.left - len(content))
        if self._compressed and self._given > self._free_bytes + _MOST_TIMES * self._source.n_read:
            self.damage = f"it unpacks to more than {_MOST_TIMES} times its size"
        return content

    def skip(self, size: int) -> bool:
        """Whether there were ``size`` bytes to pass over; no more than a piece is ever held."""
        while size > 0:
            passed = len(self.read(min(size, _AT_A_TIME)))
            if passed == 0:
                return False
            size -= passed
        return True


class _Source(io.RawIOBase):
    """Counts what is read, and notes whether it was the stream itself that failed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.n_read, self.failed = stream, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._stream.read(len(buffer))
        except OSError:
            self.failed = True
            raise
        buffer[: len(content)] = content
        self.n_read += len(content)
        return len(content)


class _Xz(io.RawIOBase):
    """As ``lzma.LZMAFile``, which cannot be given a bound for memory."""

    def __init__(self, packed: io.BufferedReader[Any]) -> None:
        self._packed = packed
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            content = b""
            if self._decoder.eof:
                content = self._after_the_end()
                if not content:
                    return 0
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._decoder.needs_input:
                content = self._packed.read1(_AT_A_TIME)
                if not content:
                    raise EOFError("compressed file ended before its end marker")
            unpacked = self._decoder.decompress(content, len(buffer))
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)

    def _after_the_end(self) -> bytes:
        """What follows: another compressed file, behind zeros that fill up blocks, or nothing."""
        content = self._decoder.unused_data.lstrip(b"\0")
        while not content:
            content = self._packed.read1(_AT_A_TIME)
            if not content:
                return b""
            content = content.lstrip(b"\0")
        return content
