"""The files in a tar of any bytes: what is damaged is named, and what follows it is read.

Of Python's tarfile only the reading of one header block is used. How it walks from header to
header trusts what they say: sizes without end, holes, names and records of any length, headers
nested in headers.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from semdedup_spark.sources.formats.decompress import Unpacked

_BLOCK = 512
# Records that stand before a file's own header: names, times, attributes.
_MOST_OF_RECORDS = 1 << 20
# As long as a path may be on Linux.
_MOST_OF_A_NAME = 4096
# Zeros that fill up the last blocks of an archive, and no more than that, are passed over.
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
_HOLES = "is stored with holes (as by tar --sparse), which are not read"
_NO_END = "its end marker is missing, so it may have been cut"


@dataclass(frozen=True)
class Member:
    """``size``: bytes of content; neither ``is_file`` nor ``is_folder``: a link or the like;
    ``problem``: why the content must not be used.
    """

    name: str
    size: int
    is_file: bool
    is_folder: bool = False
    problem: str | None = None


@dataclass(frozen=True)
class Damage:
    """A place where members may be missing; ``at_the_end``: behind the archive's end marker, or
    where only that is missing, so that nothing before it is.
    """

    message: str
    at_the_end: bool = False


@dataclass
class _Said:
    """What headers before the file's own say of it; ``problem``: that they cannot be understood."""

    name: str | None = None
    size: int | None = None
    holes: bool = False
    problem: str | None = None


class TarReader:
    """Iterate to get :class:`Member` and :class:`Damage` in the order of the archive.

    Time and memory are bounded by the bytes that are there, not by what headers say: an archive of
    any bytes comes to its end.

    Parameters
    ----------
    stream
        Binary, of a tar, compressed (gzip, bzip2, xz) or not.
    n_bytes
        Its length, where known: a size beyond it is then found out before anything is passed over.
    """

    def __init__(self, stream: IO[bytes], n_bytes: int | None = None) -> None:
        self._bytes = Unpacked(stream, n_bytes)
        self._unread = 0  # of the newest member, what fills up its last block included
        self._size = 0

    def content(self) -> bytes | None:
        """Of the newest member, once; ``None`` where the archive ends inside of it."""
        content = self._bytes.read(self._size)
        self._unread -= len(content)
        return content if len(content) == self._size else None

    def __iter__(self) -> Iterator[Member | Damage]:
        said, lost, zeros = _Said(), False, 0
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
                    yield Damage(f"{zeros * _BLOCK} zeros are its end, or hide it", True)
                    return
                continue
            member, problem = (
                (None, header) if isinstance(header, str) else self._follow(header, block, said)
            )
            if member is not None:
                yield member
                lost = False
            if problem is not None and not lost:
                yield Damage(problem, zeros > 0)
            if problem is not None or member is not None:
                said = _Said()
            # Behind a broken header each block is looked at, until one is a header.
            lost, zeros = lost or problem is not None, 0
        yield Damage(self._bytes.damage or "unexpected end of data")

    def _end(self, block: bytes, zeros: int) -> Iterator[Damage]:
        """``block``: what there is behind so many blocks of ``zeros``."""
        if self._bytes.damage is not None:
            yield Damage(self._bytes.damage, zeros > 0)
        elif block.strip(b"\0"):
            yield Damage("unexpected end of data", zeros > 0)
        elif zeros == 0:
            yield Damage(_NO_END, not block)

    def _follow(
        self, header: tarfile.TarInfo, block: bytes, said: _Said
    ) -> tuple[Member | None, str | None]:
        """The member that a header begins, none where it speaks of a later one, which is noted in
        ``said``; and in words what cannot be right.
        """
        before_others = header.type in _BEFORE_OTHERS
        size = header.size if said.size is None or before_others else said.size
        if header.type in _WITHOUT_CONTENT:
            size = 0
        name, left = said.name or header.name, self._bytes.left
        if size < 0 or (left is not None and size > left):
            problem = f"{name!r} has {size} bytes by its header, and {left} are left"
            return None if before_others else Member(name, 0, True, problem=problem), problem
        self._size, self._unread = size, _blocks(size)
        if before_others:
            self._note(header, said)
            return None, None
        if said.problem is not None:
            return None, said.problem
        holes = said.holes or header.type == tarfile.GNUTYPE_SPARSE
        if header.type == tarfile.GNUTYPE_SPARSE:
            self._pass_map_of_holes(block)
        unusable = _HOLES if holes else None
        return Member(name, size, header.isreg(), header.isdir(), unusable), None

    def _note(self, header: tarfile.TarInfo, said: _Said) -> None:
        """Names and sizes of all files together, and where links lead, are nothing that is asked
        for.
        """
        if header.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
            return
        if header.size > _MOST_OF_RECORDS:
            said.problem = f"broken header: {header.size} bytes of records about one file"
            return
        content = self.content()
        if content is None:
            return  # the archive ends here
        if header.type == tarfile.GNUTYPE_LONGNAME:
            _note(said, b"path", content.partition(b"\0")[0])
        elif not _note_all(said, content):
            said.problem = "broken header: its records cannot be read"

    def _pass_map_of_holes(self, block: bytes) -> None:
        more = block[482]
        while more:
            block = self._bytes.read(_BLOCK)
            more = block[504] if len(block) == _BLOCK else 0


def _header(block: bytes) -> tarfile.TarInfo | str | None:
    """``None`` for a block of zeros; words for what is no header."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None
    except tarfile.HeaderError as error:
        return f"broken header: {error}"


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _note_all(said: _Said, content: bytes) -> bool:
    """Whether all records, each ``length keyword=value`` and a new line, could be read."""
    content, at = content.rstrip(b"\0"), 0
    while at < len(content):
        length, _, _ = content[at : at + 20].partition(b" ")
        end = at + int(length) if length.isdigit() else 0
        keyword, equals, value = content[at + len(length) + 1 : end].partition(b"=")
        if not equals or end > len(content) or not value.endswith(b"\n"):
            return False
        if not _note(said, keyword, value[:-1]):
            return False
        at = end
    return True


def _note(said: _Said, keyword: bytes, value: bytes) -> bool:
    if keyword == b"GNU.sparse.name" or (keyword == b"path" and not said.holes):
        if len(value) > _MOST_OF_A_NAME:
            said.problem = f"broken header: a name of {len(value)} bytes"
        said.name = value[:_MOST_OF_A_NAME].decode("utf-8", "surrogateescape").rstrip("/")
    elif keyword == b"size":
        if not value.isdigit() or len(value) > 20:
            return False
        said.size = int(value)
    said.holes |= keyword.startswith(b"GNU.sparse.")
    return True
