"""A tar shard in the webdataset layout, read as a stream: files that share a name are one sample.

The key of ``a/b/0001.left.jpg`` is ``a/b/0001``, its member ``left.jpg``, as in webdataset. Memory
holds the wanted members of one sample, whatever the size of the shard.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import IO

from semdedup_spark.sources.formats.tar_members import Damage, Member, TarReader

_IMAGES = "jpg jpeg jpe png webp gif bmp tif tiff avif heic heif jp2 ppm pgm pbm tga ico"
IMAGE_MEMBERS = frozenset(_IMAGES.split(" "))
# The column of whatever image a sample has first.
ANY_IMAGE = "image"
# What a sample is remembered by, so that one of very many files fills no memory.
_MOST_MEMBERS = 10_000
_MOST_NAMED = 20


@dataclass
class Sample:
    """``members``: bytes of the wanted ones; ``found``: names of all; ``reason`` and ``message``
    where it must not be used. ``key`` is ``None`` for damage to the shard itself; ``beside``: such
    damage before, in or after the sample, so that members of it may be missing.
    """

    key: str | None
    members: dict[str, bytes] = field(default_factory=dict)
    found: dict[str, None] = field(default_factory=dict)
    reason: str | None = None
    message: str | None = None
    beside: str | None = None

    def reject(self, reason: str, message: str) -> None:
        """Note why the sample must not be used; the first reason stays."""
        if self.reason is None:
            self.reason, self.message = reason, message


@dataclass(frozen=True)
class Wanted:
    """Members to read; of these the ``required`` must be there; :data:`ANY_IMAGE` is the first
    image of a sample. Samples whose share of the shard (see :func:`share_of`) is not in
    [``begin``, ``end``) are passed over. ``max_bytes``: of the members of a sample together; what
    is larger is not read.
    """

    members: tuple[str, ...]
    required: tuple[str, ...] = ()
    begin: float = 0.0
    end: float = 1.0
    max_bytes: int = 256 << 20


def read_samples(stream: IO[bytes], wanted: Wanted, n_bytes: int | None = None) -> Iterator[Sample]:
    """Samples in the order of the shard, compressed or not, with a reason where they are no good.

    Reasons: ``duplicate_key`` (an earlier sample has this key), ``missing_member`` (a required),
    ``member_too_large``, ``damaged_shard``: a sample beside damage that lacks a wanted member, and
    one row without a key that says so. What follows the damage is read, as far as it can be found.

    ``n_bytes``: the length of ``stream``, where it is known and cannot be asked for.
    """
    if n_bytes is None and stream.seekable():
        here = stream.tell()
        n_bytes = stream.seek(0, 2) - here
        stream.seek(here)
    for sample in _grouped(TarReader(stream, n_bytes), wanted):
        if sample.key is None:
            if wanted.begin <= 0.0:  # once, whatever the number of parts
                yield sample
        elif _chosen(sample, wanted):
            yield _judged(sample, wanted)


def _grouped(reader: TarReader, wanted: Wanted) -> Iterator[Sample]:
    """Every sample of the shard; of those that are not chosen, without content."""
    seen: set[bytes] = set()
    sample: Sample | None = None
    first_damage: str | None = None
    lost: str | None = None  # what may have taken members of the sample that comes next
    for found in reader:
        if isinstance(found, Damage):
            first_damage, lost = first_damage or found.message, found.message
            if sample is not None and not found.at_the_end:
                sample.beside = found.message
            continue
        if _passed_over(found):
            continue
        key, member = split_name(found.name)
        if sample is None or key != sample.key or member in sample.found:
            if sample is not None:
                yield sample
            sample = Sample(key, beside=lost)
            if not _remember(key, seen):
                sample.reject("duplicate_key", "an earlier sample of the shard has this key")
        lost = None
        _add(sample, member, found, reader, wanted)
    if sample is not None:
        yield sample
    if first_damage is not None:
        message = f"the shard must be a whole tar file: {first_damage}"
        yield Sample(None, reason="damaged_shard", message=message)


def _passed_over(member: Member) -> bool:
    """Folders and hidden files."""
    return member.is_folder or member.name.rpartition("/")[2].startswith(".")


def _remember(key: str, seen: set[bytes]) -> bool:
    """Whether the key is new. A hash is kept of it, so that long keys fill no memory."""
    short = blake2b(key.encode(), digest_size=16).digest()
    if short in seen:
        return False
    seen.add(short)
    return True


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


def _add(sample: Sample, member: str, found: Member, reader: TarReader, wanted: Wanted) -> None:
    if len(sample.found) >= _MOST_MEMBERS:
        sample.reject("damaged_shard", f"the sample has more than {_MOST_MEMBERS} files")
        return
    sample.found[member] = None
    columns = [member] if member in wanted.members else []
    if member in IMAGE_MEMBERS and ANY_IMAGE in wanted.members and ANY_IMAGE not in sample.members:
        columns.append(ANY_IMAGE)
    if not columns or not found.is_file or not _chosen(sample, wanted):
        return
    if found.problem is not None:
        sample.reject("damaged_shard", f"{found.name} {found.problem}")
        return
    held = sum(map(len, sample.members.values()))
    if held + found.size > wanted.max_bytes:
        message = (
            f"the members of a sample that are read must have at most {wanted.max_bytes} bytes "
            f"(source.max_bytes). {found.name} has {found.size}."
        )
        sample.reject("member_too_large", message)
        return
    content = reader.content()
    if content is not None:
        sample.members.update(dict.fromkeys(columns, content))


def _chosen(sample: Sample, wanted: Wanted) -> bool:
    return wanted.begin <= share_of(sample.key or "") < wanted.end


def _judged(sample: Sample, wanted: Wanted) -> Sample:
    if sample.beside is not None and not all(name in sample.members for name in wanted.members):
        sample.reject("damaged_shard", f"the shard is broken in or beside this: {sample.beside}")
    for member in wanted.required:
        if member not in sample.members:
            there = ", ".join(name or "a file without a dot in its name" for name in _few(sample))
            sample.reject(
                "missing_member", f"the sample must have a member {member}. It has {there}."
            )
    return sample


def _few(sample: Sample) -> list[str]:
    return [
        *islice(sample.found, _MOST_NAMED),
        *(["..."] if len(sample.found) > _MOST_NAMED else []),
    ]


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
