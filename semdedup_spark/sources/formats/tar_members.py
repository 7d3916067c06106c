"""A tar reader for untrusted bytes: it reports damage and goes on with what follows.

Only the parsing of one header block comes from Python's tarfile. Tarfile's own walk from header to
header trusts what headers say: sizes without limit, sparse maps, names and records of any length,
headers nested in headers.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from semdedup_spark.sources.formats.decompress import Unpacked

_BLOCK = 512
# Limit, in bytes, of the extended records (names, times, attributes) before a file's header.
_MOST_OF_RECORDS = 1 << 20
# Limit of a name in bytes: the longest path on Linux.
_MOST_OF_A_NAME = 4096
# Limit of consecutive blocks of zeros. They pad the end of an archive.
_MOST_ZEROS = (64 << 20) // _BLOCK
_BEFORE_OTHERS = (
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
)
_HOLES = "is a sparse file (as tar --sparse writes them), which is not supported"
_NO_END = "its end marker is missing, so it may be truncated"


@dataclass(frozen=True)
class Member:
    """One entry of an archive. A link or a device is neither a file nor a folder.

    Attributes
    ----------
    name
        The entry's path within the archive.
    size
        Bytes of content.
    is_file
        Whether it is a regular file.
    is_folder
        Whether it is a folder.
    problem
        Why the content must not be used, else ``None``.
    """

    name: str
    size: int
    is_file: bool
    is_folder: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class Damage:
    """A place in the archive where members may be missing.

    Attributes
    ----------
    message
        What is wrong.
    at_the_end
        Whether the members before this place are complete: it lies behind the archive's end
        marker, or only the marker is missing.
    """

    message: str
    at_the_end: bool = False


@dataclass
class _ExtendedHeader:
    """What extended headers say about the file whose own header follows.

    Attributes
    ----------
    name
        Its path, if given.
    size
        Its size in bytes, if given.
    holes
        Whether it is stored sparsely.
    problem
        Why the extended headers cannot be understood, else ``None``.
    """

    name: str | None = None
    size: int | None = None
    holes: bool = False
    problem: str | None = None


class TarReader:
    """Iterate over :class:`Member` and :class:`Damage` in the order of the archive.

    Time and memory are bounded by the bytes of the stream, not by what its headers say. So reading
    ends, whatever the bytes are.

    Parameters
    ----------
    stream
        Binary stream of a tar archive, compressed (gzip, bzip2, xz) or not.
    n_bytes
        Length of the stream in bytes, or ``None`` if unknown. If known, a header whose size
        exceeds it is reported before anything is skipped.
    """

    def __init__(self, stream: IO[bytes], n_bytes: int | None = None) -> None:
        self._bytes = Unpacked(stream, n_bytes)
        self._unread = 0  # bytes left of the newest member, with the padding of its last block
        self._size = 0

    def content(self) -> bytes | None:
        """Read the content of the newest member. Call it at most once for each member.

        Returns
        -------
        bytes | None
            The content. ``None`` if the archive ends within it.
        """
        content = self._bytes.read(self._size)
        self._unread -= len(content)
        return content if len(content) == self._size else None

    def __iter__(self) -> Iterator[Member | Damage]:
        extended, lost, zeros = _ExtendedHeader(), False, 0
        while self._bytes.skip(self._unread):
            self._unread = 0
            block = self._bytes.read(_BLOCK)
            if len(block) < _BLOCK:
                yield from self._end(block, zeros)
                return
            header = _header(block)
            if header is None:
                zeros += 1
                if zeros == _MOST_ZEROS:
                    yield Damage(f"reading stopped after {zeros * _BLOCK} bytes of zeros", True)
                    return
                continue
            member, problem = (
                (None, header) if isinstance(header, str) else self._follow(header, block, extended)
            )
            if member is not None:
                yield member
                lost = False
            if problem is not None and not lost:
                yield Damage(problem, zeros > 0)
            if problem is not None or member is not None:
                extended = _ExtendedHeader()
            # After a broken header, look at each block until one is a header.
            lost, zeros = lost or problem is not None, 0
        yield Damage(self._bytes.damage or "unexpected end of data")

    def _end(self, block: bytes, zeros: int) -> Iterator[Damage]:
        """Damage at the end of the stream. ``block``: the last bytes, after ``zeros`` blocks."""
        if self._bytes.damage is not None:
            yield Damage(self._bytes.damage, zeros > 0)
        elif block.strip(b"\0"):
            yield Damage("unexpected end of data", zeros > 0)
        elif zeros == 0:
            yield Damage(_NO_END, not block)

    def _follow(
        self, header: tarfile.TarInfo, block: bytes, extended: _ExtendedHeader
    ) -> tuple[Member | None, str | None]:
        """The member that a header begins, and a message if the header cannot be right.

        There is no member if the header describes a later one. ``extended`` then records what it
        says.
        """
        before_others = header.type in _BEFORE_OTHERS
        size = header.size if extended.size is None or before_others else extended.size
        if header.type in _WITHOUT_CONTENT:
            size = 0
        name, left = extended.name or header.name, self._bytes.left
        if size < 0 or (left is not None and size > left):
            problem = f"{name!r} has {size} bytes by its header, and {left} are left"
            return None if before_others else Member(name, 0, True, problem=problem), problem
        self._size, self._unread = size, _blocks(size)
        if before_others:
            self._note(header, extended)
            return None, None
        if extended.problem is not None:
            return None, extended.problem
        holes = extended.holes or header.type == tarfile.GNUTYPE_SPARSE
        if header.type == tarfile.GNUTYPE_SPARSE:
            self._pass_map_of_holes(block)
        unusable = _HOLES if holes else None
        return Member(name, size, header.isreg(), header.isdir(), unusable), None

    def _note(self, header: tarfile.TarInfo, extended: _ExtendedHeader) -> None:
        """Record an extended header. Global headers and link targets are not needed."""
        if header.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            return
        if header.size > _MOST_OF_RECORDS:
            extended.problem = f"broken header: {header.size} bytes of records about one file"
            return
        content = self.content()
        if content is None:
            return  # the archive ends here
        if header.type == tarfile.GNUTYPE_LONGNAME:
            _note(extended, b"path", content.partition(b"\0")[0])
        elif not _note_all(extended, content):
            extended.problem = "broken header: its records cannot be read"

    def _pass_map_of_holes(self, block: bytes) -> None:
        more = block[482]
        while more:
            block = self._bytes.read(_BLOCK)
            more = block[504] if len(block) == _BLOCK else 0


def _header(block: bytes) -> tarfile.TarInfo | str | None:
    """The parsed header, ``None`` for a block of zeros, or a message if it is not a header."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except tarfile.HeaderError as error:
        return f"broken header: {error}"


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _note_all(extended: _ExtendedHeader, content: bytes) -> bool:
    """Whether all records could be read. Each is ``length keyword=value`` and a line feed."""
    content, at = content.rstrip(b"\0"), 0
    while at < len(content):
        length, _, _ = content[at : at + 20].partition(b" ")
        end = at + int(length) if length.isdigit() else 0
        keyword, equals, value = content[at + len(length) + 1 : end].partition(b"=")
        if not equals or end > len(content) or not value.endswith(b"\n"):
            return False
        if not _note(extended, keyword, value[:-1]):
            return False
        at = end
    return True


def _note(extended: _ExtendedHeader, keyword: bytes, value: bytes) -> bool:
    if keyword == b"GNU.sparse.name" or (keyword == b"path" and not extended.holes):
        if len(value) > _MOST_OF_A_NAME:
            extended.problem = f"broken header: a name of {len(value)} bytes"
        extended.name = value[:_MOST_OF_A_NAME].decode("utf-8", "surrogateescape").rstrip("/")
    elif keyword == b"size":
        if not value.isdigit() or len(value) > 20:
            return False
        extended.size = int(value)
    extended.holes |= keyword.startswith(b"GNU.sparse.")
    return True
