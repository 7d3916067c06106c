"""Stream the samples of a tar shard in the webdataset layout.

Consecutive files that share a name up to its first dot are one sample. As in webdataset, the key of
``a/b/0001.left.jpg`` is ``a/b/0001`` and its member is ``left.jpg``. Memory holds the wanted
members of one sample at a time, whatever the size of the shard.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from semdedup_spark.sources.formats.tar_members import Damage, Member, TarReader

_IMAGES = "jpg jpeg jpe png webp gif bmp tif tiff avif heic heif jp2 ppm pgm pbm tga ico"
IMAGE_MEMBERS = frozenset(_IMAGES.split(" "))
# The name under which a sample's first image is wanted, whatever its extension.
ANY_IMAGE = "image"
# Limit of names held for a sample, so that a sample of very many files does not fill memory.
_MOST_MEMBERS = 10_000
# Limit of names in a message.
_MOST_NAMED = 20


@dataclass
class Sample:
    """One sample of a shard, or the report that the shard itself is damaged.

    Attributes
    ----------
    key
        Its key. ``None`` for the report of a damaged shard.
    members
        Content of the wanted members, by name.
    found
        Names of all members, in the order of the shard. The values are unused.
    reason
        Code of the reason why the sample must not be used, else ``None``.
    message
        The reason in words, else ``None``.
    beside
        Damage before, within or after the sample, so that members may be missing; else ``None``.
    """

    key: str | None
    members: dict[str, bytes] = field(default_factory=dict)
    found: dict[str, None] = field(default_factory=dict)
    reason: str | None = None
    message: str | None = None
    beside: str | None = None

    def reject(self, reason: str, message: str) -> None:
        """Record why the sample must not be used. Only the first reason is kept.

        Parameters
        ----------
        reason
            Code of the reason.
        message
            The reason in words.
        """
        if self.reason is None:
            self.reason, self.message = reason, _escaped(message)


@dataclass(frozen=True)
class Wanted:
    """Which samples and members of a shard to read.

    Attributes
    ----------
    members
        Names of the members to read. :data:`ANY_IMAGE` means the first image of a sample.
    required
        Those of ``members`` that each sample must have.
    begin
        In [0, 1]. Samples with a smaller :func:`share_of` are skipped.
    end
        In [0, 1]. Samples with this or a larger :func:`share_of` are skipped.
    max_bytes
        Limit of the members read of one sample together, in bytes. Beyond it nothing is read.
    """

    members: tuple[str, ...]
    required: tuple[str, ...] = ()
    begin: float = 0.0
    end: float = 1.0
    max_bytes: int = 256 << 20


def read_samples(stream: IO[bytes], wanted: Wanted, n_bytes: int | None = None) -> Iterator[Sample]:
    """Read the samples of a shard in their order.

    Reading goes on after damage, as far as later members can be found.

    Parameters
    ----------
    stream
        Binary stream of a tar archive, compressed or not.
    wanted
        Which samples and members to read.
    n_bytes
        Length of ``stream`` in bytes, if known. Needed only if the stream is not seekable.

    Yields
    ------
    Sample
        A sample that must not be used has a reason: ``missing_member`` (it lacks a required
        member), ``member_too_large``, or ``damaged_shard`` (it lacks a wanted member and lies
        beside damage, or a member of it is damaged). If the shard is damaged, the last sample has
        no key and says so. Several samples may have one key: only an encoder can tell which of
        them are good.
    """
    if n_bytes is None and stream.seekable():
        here = stream.tell()
        n_bytes = stream.seek(0, 2) - here
        stream.seek(here)
    for sample in _grouped(TarReader(stream, n_bytes), wanted):
        if sample.key is None:
            if wanted.begin <= 0.0:  # report the damage in the first part only
                yield sample
        elif _chosen(sample, wanted):
            yield _judged(sample, wanted)


def _grouped(reader: TarReader, wanted: Wanted) -> Iterator[Sample]:
    """Every sample of the shard. Those outside of the wanted range have no content."""
    sample: Sample | None = None
    first_damage: str | None = None
    lost: str | None = None  # damage that may have taken members of the next sample
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
        lost = None
        _add(sample, member, found, reader, wanted)
    if sample is not None:
        yield sample
    if first_damage is not None:
        report = Sample(None)
        report.reject("damaged_shard", f"the shard must be a whole tar file: {first_damage}")
        yield report


def _passed_over(member: Member) -> bool:
    """Whether the entry is a folder or a hidden file."""
    return member.is_folder or member.name.rpartition("/")[2].startswith(".")


def split_name(name: str) -> tuple[str, str]:
    """Split a path at the first dot of its file name.

    Parameters
    ----------
    name
        A path within the archive.

    Returns
    -------
    tuple[str, str]
        The key (with its folders) and the member in lower case, empty if there is no dot.
    """
    folder, slash, base = _escaped(name).rpartition("/")
    stem, _, member = base.partition(".")
    return folder + slash + stem, member.lower()


def _escaped(text: str) -> str:
    """Tar does not say how names are encoded: bytes that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def share_of(key: str) -> float:
    """Hash a key to a position within its shard, the same in every process.

    Parameters
    ----------
    key
        A sample's key.

    Returns
    -------
    float
        The position, in [0, 1).
    """
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
            f"the members read of a sample must have at most {wanted.max_bytes} bytes together "
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
        sample.reject(
            "damaged_shard", f"the shard is damaged in or next to this sample: {sample.beside}"
        )
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
