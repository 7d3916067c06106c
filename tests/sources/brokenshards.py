"""Valid shards, and seeded mutations of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

from tests.sources.shards import samples_of, tar_bytes

BLOCK = 512
_SIZES = (
    b"77777777777\0",
    b"\x80" + b"\x7f" * 11,  # base 256
    b"\xff" * 12,  # base 256, negative
    b"-0000000001\0",
    b"00000000000\0",
    b"00000001000\0",
    b"not a number",
    b"            ",
)
_TYPES = b"\x00" + b"01234567xgLKSXDVNM\xff "
_PAX = (
    {"size": "99999999999999"},
    {"size": "-1"},
    {"size": "1_0"},
    {"size": "9" * 5000},
    {"GNU.sparse.map": "1,2,x"},
    {"GNU.sparse.size": "99999999999"},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "7"},
    {"path": "n" * 100_000},
    {"path": "../\0/\x1b[31m.jpg"},
    {"hdrcharset": "no charset"},
    {"mtime": "nan", "uid": "-1", "comment": "c" * 3_000_000},
)


def whole_shards():
    """A shard of each tar format and compression, with the samples 00000 to 00011."""
    files = list(samples_of(12, of=("jpg", "txt")))
    plain = tar_bytes(files)
    of_format = [_tar(files, form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT)]
    half = tar_bytes(files[:12]), tar_bytes(files[12:])
    return {
        "pax": _tar(files, tarfile.PAX_FORMAT, {"comment": "every file has records"}),
        "ustar": of_format[0],
        "gnu": of_format[1],
        "gz": gzip.compress(plain),
        "two gz in one": gzip.compress(plain[:7000]) + gzip.compress(plain[7000:]),
        "two archives in one": half[0] + half[1],
        "bz2": bz2.compress(plain),
        "xz": lzma.compress(plain),
    }


def _tar(files, form, pax=None, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = dict(pax or {})
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def with_records(records, at=3, n=6):
    """Samples in which file number ``at`` has these pax records."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, (name, content) in enumerate(samples_of(n, of=("jpg", "txt"))):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if number == at:
                info.pax_headers = dict(records)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def every_records():
    return [(records, with_records(records)) for records in _PAX]


def with_header(shard, block, *, size=None, kind=None, name=None):
    """The shard with fields of one header replaced and its checksum corrected."""
    header = bytearray(shard[block * BLOCK : (block + 1) * BLOCK])
    if name is not None:
        header[0:100] = name.ljust(100, b"\0")
    if size is not None:
        header[124:136] = size
    if kind is not None:
        header[156] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return shard[: block * BLOCK] + bytes(header) + shard[(block + 1) * BLOCK :]


def mutated(shard, random):
    """The shard with one to three mutations."""
    for _ in range(random.randint(1, 3)):
        shard = random.choice(_MUTATIONS)(shard, random)
    return shard


def _flipped(shard, random):
    broken = bytearray(shard)
    for _ in range(random.choice((1, 1, 8, 200))):
        if broken:
            broken[random.randrange(len(broken))] = random.randrange(256)
    return bytes(broken)


def _cut(shard, random):
    return shard[: random.randrange(len(shard) + 1)]


def _blocks_moved(shard, random):
    at, n = random.randrange(len(shard) // BLOCK + 1) * BLOCK, random.randint(1, 4) * BLOCK
    instead = random.choice((b"", b"\0" * n, random.randbytes(n), shard[:n]))
    return shard[:at] + instead + shard[at + random.choice((0, n)) :]


def _crafted_header(shard, random):
    if len(shard) < BLOCK:
        return shard
    size = random.choice((None, *_SIZES))
    kind = random.choice((None, *_TYPES))
    not_utf8 = random.randbytes(40).replace(b"\0", b"\xff") + b".jpg"
    name = random.choice((None, None, random.randbytes(100), not_utf8))
    block = random.randrange(len(shard) // BLOCK)
    return with_header(shard, block, size=size, kind=kind, name=name)


def _records_before(shard, random):
    """The shard with random pax records, or a long name, inserted before a block."""
    content = random.choice(
        (random.randbytes(700), b"20 size=12345678901\n" * 3, b"9 GNU.sparse.map=1\n", b"a" * 5000)
    )
    kind = random.choice((tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME))
    info = tarfile.TarInfo("records")
    info.type, info.size = kind, len(content)
    head = info.tobuf(tarfile.USTAR_FORMAT)
    at = random.randrange(len(shard) // BLOCK + 1) * BLOCK
    padded = content + b"\0" * (-len(content) % BLOCK)
    return shard[:at] + (head + padded) * random.choice((1, 1, 300)) + shard[at:]


def _compressed(shard, random):
    return random.choice((gzip.compress, bz2.compress, lzma.compress))(shard)


_MUTATIONS = (_flipped, _cut, _blocks_moved, _crafted_header, _records_before, _compressed)
