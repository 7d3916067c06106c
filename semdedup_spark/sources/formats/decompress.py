"""Streaming decompression of gzip, bzip2 and xz with bounded memory and time.

Python's own readers of gzip, bzip2 and xz do the work. Unlike tarfile's, they verify checksums and
continue when one compressed file follows another.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from typing import IO, Any

_AT_A_TIME = 1 << 20
# Memory limit of the xz decoder. Dictionaries of xz -9 fit; the format allows up to 4 GiB.
_XZ_MEMORY = 256 << 20
# Limits against decompression bombs: 45 bytes of bzip2 can hold gigabytes.
_FREE_BYTES = 1 << 30
_MOST_TIMES = 256
_GZIP, _XZ = (b"\x1f\x8b\x08",), (b"\xfd7zXZ", b"\x5d\x00\x00\x80")
# With the begin of its first block or of its end: the name of a tar's first member may be BZh9.jpg.
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")


class Unpacked:
    """A binary stream that is decompressed while it is read.

    The first bytes tell the compression. A stream without a known signature is read as it is.
    ``left`` is the number of bytes still to come: ``None`` if unknown, as for compressed streams.
    ``damage`` says why reading stopped before the end of the file, else it is ``None``.

    Parameters
    ----------
    stream
        Binary stream, read from its position to its end. It need not be seekable.
    n_bytes
        Length of the stream in bytes, or ``None`` if unknown.
    free_bytes
        Number of decompressed bytes that are always allowed. Beyond them, the output may have at
        most 256 times the bytes read so far.
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
        elif _BZIP2.match(start):
            self._stream = bz2.BZ2File(buffered)
        elif start.startswith(_XZ):
            self._stream = io.BufferedReader(_Xz(buffered), _AT_A_TIME)
        self._compressed = self._stream is not buffered
        self.left = None if self._compressed else n_bytes
        self._given = 0

    def read(self, size: int) -> bytes:
        """Read the next bytes.

        Parameters
        ----------
        size
            Number of bytes to read.

        Returns
        -------
        bytes
            ``size`` bytes. Fewer only at the end of the stream, or where ``damage`` is set.

        Raises
        ------
        OSError
            If the underlying stream itself fails. Spark then retries the task. Damage to the
            compressed content is not raised: ``damage`` describes it.
        EOFError
            As for OSError.
        zlib.error
            As for OSError.
        lzma.LZMAError
            As for OSError.
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
        """Pass over bytes, holding at most 1 MiB of them at a time.

        Parameters
        ----------
        size
            Number of bytes to pass over.

        Returns
        -------
        bool
            True if the stream had that many bytes.
        """
        while size > 0:
            passed = len(self.read(min(size, _AT_A_TIME)))
            if passed == 0:
                return False
            size -= passed
        return True


class _Source(io.RawIOBase):
    """Counts the bytes read, and records whether the stream itself failed.

    Parameters
    ----------
    stream
        Binary stream to read from.
    """

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
    """Like ``lzma.LZMAFile``, but with a memory limit, which that class does not offer.

    Parameters
    ----------
    packed
        Binary stream of one or more concatenated xz or lzma files.
    """

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
        """The bytes after the padding zeros: the start of another compressed file, or nothing."""
        content = self._decoder.unused_data.lstrip(b"\0")
        while not content:
            content = self._packed.read1(_AT_A_TIME)
            if not content:
                return b""
            content = content.lstrip(b"\0")
        return content
