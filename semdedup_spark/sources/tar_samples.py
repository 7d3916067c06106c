"""A tar shard in the webdataset layout, read as a stream: files that share a name are one sample.

The key of ``a/b/0001.left.jpg`` is ``a/b/0001``, its member ``left.jpg``, as in webdataset. Memory
holds the wanted members of one sample, whatever the size of the shard.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

_IMAGES = "jpg jpeg jpe png webp gif bmp tif tiff avif heic heif jp2 ppm pgm pbm tga ico"
IMAGE_MEMBERS = frozenset(_IMAGES.split(" "))
# The column of whatever image a sample has first.
ANY_IMAGE = "image"
# A larger member goes to quarantine unread; Arrow could not carry 2 GiB.
MAX_MEMBER_BYTES = 1 << 30


@dataclass
class Sample:
    """``members``: bytes of the wanted ones; ``found``: names of all; ``reason`` and ``message``
    where it must not be used. ``key`` is ``None`` for damage to the shard itself.
    """

    key: str | None
    members: dict[str, bytes] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    reason: str | None = None
    message: str | None = None

    def reject(self, reason: str, message: str) -> None:
        """Note why the sample must not be used; the first reason stays."""
        if self.reason is None:
            self.reason, self.message = reason, message


@dataclass(frozen=True)
class Wanted:
    """Members to read; of these the ``required`` must be there; :data:`ANY_IMAGE` is the first
    image of a sample. Samples whose share of the shard (see :func:`share_of`) is not in
    [``begin``, ``end``) are passed over.
    """

    members: tuple[str, ...]
    required: tuple[str, ...] = ()
    begin: float = 0.0
    end: float = 1.0


def read_samples(stream: IO[bytes], wanted: Wanted) -> Iterator[Sample]:
    """Samples in the order of the shard, compressed or not, with a reason where they are no good.

    Reasons: ``duplicate_key`` (an earlier sample has this key), ``missing_member`` (a required),
    ``member_too_large``, ``damaged_shard`` (the sample during which reading failed, and one row
    without a key that says so; what follows in the shard is lost).
    """
    for sample in _grouped(stream, wanted):
        if sample.key is None:
            if wanted.begin <= 0.0:  # once, whatever the number of parts
                yield sample
        elif _chosen(sample, wanted):
            yield _judged(sample, wanted)


def _grouped(stream: IO[bytes], wanted: Wanted) -> Iterator[Sample]:
    """Every sample of the shard; of those that are not chosen, without content."""
    seen: set[str] = set()
    sample: Sample | None = None
    damage = None
    try:
        for info, archive in _files(stream):
            key, member = split_name(info.name)
            if sample is None or key != sample.key or member in sample.found:
                if sample is not None:
                    yield sample
                sample = Sample(key)
                if key in seen:
                    sample.reject("duplicate_key", "an earlier sample of the shard has this key")
                seen.add(key)
            _add(sample, member, info, archive, wanted)
    except (_Damage, tarfile.TarError, EOFError) as error:
        damage = str(error)
    if sample is not None:
        if damage is not None and damage != _NO_END:
            sample.reject("damaged_shard", f"the shard breaks off in or after this: {damage}")
        yield sample
    if damage is not None:
        message = f"the shard must be a whole tar file: {damage}"
        yield Sample(None, reason="damaged_shard", message=message)


def split_name(name: str) -> tuple[str, str]:
    """(key, member): what stands before and after the first dot of the file's own name, the member
    in lower case; a name without a dot is all key.
    """
    name = name.encode("utf-8", "backslashreplace").decode()  # tar knows no encoding of names
    folder, slash, base = name.rpartition("/")
    stem, _, member = base.partition(".")
    return folder + slash + stem, member.lower()


def share_of(key: str) -> float:
    """A key's place in its shard, in [0, 1): a hash, the same in every process."""
    return zlib.crc32(key.encode()) / 2**32


_NO_END = "its end marker is missing, so it may have been cut"


class _Damage(Exception):
    """Reading the shard cannot go on."""


class _NotedHeader(tarfile.TarInfo):
    """Notes how the archive ended: tarfile takes a broken header for the end, without a word."""

    @classmethod
    def fromtarfile(cls, tarfile: Any) -> Any:
        try:
            return super().fromtarfile(tarfile)
        except Exception as error:
            tarfile.ended_with = error
            raise


def _files(stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Everything but folders and hidden files. Raises :class:`_Damage` where reading fails;
    ``OSError`` of the stream itself goes through, so that Spark tries the task again.
    """
    try:
        archive = tarfile.open(  # noqa: SIM115 - closed below; what opening raises is told apart
            fileobj=stream, mode="r|*", tarinfo=_NotedHeader
        )
    except (tarfile.TarError, EOFError) as error:
        raise _Damage(str(error)) from error
    with archive:
        while True:
            try:
                info = archive.next()
            except (tarfile.TarError, EOFError) as error:
                raise _Damage(str(error)) from error
            if info is None:
                break
            archive.members.clear()  # type: ignore[attr-defined] # or a long shard would grow in memory
            if not info.isdir() and not info.name.rpartition("/")[2].startswith("."):
                yield info, archive
        ended_with = getattr(archive, "ended_with", None)
    if isinstance(ended_with, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
        raise _Damage(_NO_END)
    if not isinstance(ended_with, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
        raise _Damage(f"broken header: {ended_with}")


def _add(
    sample: Sample, member: str, info: tarfile.TarInfo, archive: tarfile.TarFile, wanted: Wanted
) -> None:
    sample.found.append(member)
    columns = [member] if member in wanted.members else []
    if member in IMAGE_MEMBERS and ANY_IMAGE in wanted.members and ANY_IMAGE not in sample.members:
        columns.append(ANY_IMAGE)
    if not columns or not info.isreg() or not _chosen(sample, wanted):
        return
    if info.size > MAX_MEMBER_BYTES:
        message = f"{info.name} must have at most {MAX_MEMBER_BYTES} bytes. It has {info.size}."
        sample.reject("member_too_large", message)
        return
    file = archive.extractfile(info)
    content = file.read() if file is not None else b""
    if len(content) != info.size:
        raise tarfile.ReadError("unexpected end of data")
    sample.members.update(dict.fromkeys(columns, content))


def _chosen(sample: Sample, wanted: Wanted) -> bool:
    return wanted.begin <= share_of(sample.key or "") < wanted.end


def _judged(sample: Sample, wanted: Wanted) -> Sample:
    for member in wanted.required:
        if member not in sample.members:
            there = ", ".join(name or "a file without a dot in its name" for name in sample.found)
            sample.reject(
                "missing_member", f"the sample must have a member {member}. It has {there}."
            )
    return sample


def batches(samples: Iterable[Sample], *, max_bytes: int, max_rows: int) -> Iterator[list[Sample]]:
    """Samples in lists of bounded size; a larger sample has a list of its own."""
    held: list[Sample] = []
    size = 0
    for sample in samples:
        more = sum(map(len, sample.members.values()))
        if held and (size + more > max_bytes or len(held) >= max_rows):
            yield held
            held, size = [], 0
        held.append(sample)
        size += more
    if held:
        yield held
