"""What an image takes of a worker's memory is bounded, whatever its bytes say."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.image.decode_cost import decoding_bytes
from semdedup_spark.encoders.protocol import RejectedPayload
from tests.encoders.imagefiles import encoded

SIDE = 2400
STATUS = Path("/proc/self/status")
# A process of its own decodes one file, and says by how many bytes its peak grew. The peak that
# getrusage tells is never below that of the process that started it.
DECODE = """
import sys
from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.protocol import RejectedPayload

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

payload, small = (open(path, "rb").read() for path in sys.argv[1:3])
decode_image(small)  # libraries are loaded
before = peak()
try:
    decode_image(payload, max_decoded_mb=int(sys.argv[3]))
    reason = None
except RejectedPayload as rejected:
    reason = rejected.reason
print((peak() - before) * 1024, reason)
"""
measured = pytest.mark.skipif(not STATUS.exists(), reason="Linux tells a process its own peak")


def grey16():
    return np.full((SIDE, SIDE), 300, np.uint16)


def turned(image, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, kind, exif=exif)


def flat(mode, colour):
    return Image.new(mode, (SIDE, SIDE), colour)


def segments(jpeg):
    """The segments of a JPEG before its first scan, the header of that scan, and its data."""
    before, at = [], 2
    while True:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xDA:
            return before, jpeg[at:end], jpeg[end:-2]
        before.append(jpeg[at:end])
        at = end


def scans_apart(side=SIDE, extra=b""):
    """A baseline JPEG with a scan for each component, which Pillow cannot write."""
    before, _, data = segments(encoded(Image.new("L", (side, side), 100), "JPEG"))
    header = struct.pack(">HBHHB", 17, 8, side, side, 3)
    frame = b"\xff\xc0" + header + b"".join(bytes([c, 0x11, 0]) for c in (1, 2, 3))
    scans = (b"\xff\xda" + bytes([0, 8, 1, c, 0, 0, 63, 0]) + data for c in (1, 2, 3))
    kept = [frame if part[1] == 0xC0 else part for part in before]
    return b"\xff\xd8" + extra + b"".join([*kept, *scans]) + b"\xff\xd9"


def with_segment(jpeg, kind, data):
    return jpeg[:2] + b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def estimate(payload):
    with Image.open(io.BytesIO(payload)) as opened:
        return opened.format, decoding_bytes(opened, opened.width * opened.height)


IMAGES = {
    "16 bit": lambda: encoded(Image.fromarray(grey16())),
    "32 bit": lambda: encoded(flat("I", 70_000), "TIFF", compression="tiff_deflate"),
    "float": lambda: encoded(flat("F", 3.0), "TIFF", compression="tiff_deflate"),
    "transparent": lambda: encoded(flat("RGBA", (9, 8, 7, 5))),
    "turned": lambda: turned(flat("RGBA", (9, 8, 7, 5)), "PNG"),
    "palette": lambda: encoded(flat("P", 1), transparency=1),
    "CMYK": lambda: encoded(flat("CMYK", (1, 2, 3, 4)), "TIFF", compression="tiff_deflate"),
    "baseline": lambda: encoded(flat("RGB", (9, 8, 7)), "JPEG"),
    "scans apart": scans_apart,
    "progressive": lambda: turned(flat("RGB", (9, 8, 7)), "JPEG"),
    "WebP": lambda: encoded(flat("RGBA", (9, 8, 7, 5)), "WEBP", lossless=True, method=0),
    "GIF": lambda: encoded(flat("P", 1), "GIF", save_all=True, append_images=[flat("P", 2)]),
    "JPEG 2000": lambda: encoded(flat("RGB", (9, 8, 7)), "JPEG2000"),
    "AVIF": lambda: encoded(flat("RGBA", (9, 8, 7, 5)), "AVIF", speed=10),
}


def grown(payload, folder, limit):
    (folder / "image").write_bytes(payload)
    (folder / "small").write_bytes(encoded(Image.new("RGB", (8, 8))))
    files = [str(folder / name) for name in ("image", "small")]
    command = [sys.executable, "-c", DECODE, *files, str(limit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(said[0]), said[1]


@measured
@pytest.mark.parametrize("name", IMAGES)
def test_decoding_takes_no_more_than_is_counted(name, tmp_path):
    """The lowest limit that lets an image through bounds what decoding it takes."""
    payload = IMAGES[name]()
    limit = next(mb for mb in range(1, 400) if let_through(payload, mb))
    taken, reason = grown(payload, tmp_path, limit)
    assert reason == "None"
    assert taken < limit * 2**20 + (16 << 20)  # a piece of it, and what the allocator keeps
    assert limit * 2**20 < 24 * SIDE * SIDE


def test_only_a_jpeg_whose_first_scan_lacks_a_component_is_counted_as_progressive():
    size = (64, 64)
    plain = encoded(Image.new("RGB", size, (9, 8, 7)), "JPEG")
    before, scan, data = segments(plain)
    inside = scans_apart(16)  # as EXIF data holds a thumbnail
    for kind in (0xE1, 0xEF, 0xFE):
        assert estimate(with_segment(plain, kind, inside)) == estimate(plain)
        assert estimate(with_segment(scans_apart(64), kind, plain)) == estimate(scans_apart(64))
    assert estimate(plain + inside) == estimate(plain)
    filled = b"\xff\xd8" + b"\xff\xff".join([*before, scan + data])
    assert estimate(filled + b"\xff\xd9") == estimate(plain)
    coefficients = 2 * 3 * 64 * 64
    assert estimate(scans_apart(64)) == ("JPEG", estimate(plain)[1] + coefficients)
    assert estimate(scans_apart(64, extra=b"\xff\xff\xff")) == estimate(scans_apart(64))
    assert decode_image(scans_apart(64)).size == size


def test_the_scans_of_the_second_picture_of_a_jpeg_do_not_count():
    size = (64, 64)
    first, second = Image.new("RGB", size, "red"), Image.new("RGB", size, "blue")
    both = encoded(first, "MPO", save_all=True, append_images=[second])
    kind, counted = estimate(both)
    assert (kind, counted) == ("MPO", 2 * estimate(encoded(first, "JPEG"))[1])


def let_through(payload, limit):
    try:
        decode_image(payload, max_decoded_mb=limit)
    except RejectedPayload as rejected:
        return rejected.reason != "too_many_pixels"
    return True


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(header, *others):
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + bytes(12)) * 4))
    chunks = (chunk(b"IHDR", header), *others, pixels, chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def metadata_bomb(kind, between):
    small = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    return png(small, chunk(kind, b"a\0" + between + zlib.compress(bytes(256 << 20), 9)))


def tiff(tile, *, planes):
    """64 x 64 pixels in one tile that is far larger, of little that unpacks to much."""
    data = zlib.compress(bytes(1 << 20), 9)
    counts = [1] * 3 if planes else [1]
    tags = {
        256: (64,), 257: (64,), 258: (8, 8, 8), 259: (8,), 262: (2,), 277: (3,),
        284: (2 if planes else 1,), 322: (tile,), 323: (tile,),
        324: [400 for _ in counts], 325: [len(data) for _ in counts],
    }  # fmt: skip
    directory, extra = struct.pack("<H", len(tags)), b""
    for tag, values in tags.items():
        held = struct.pack(f"<{len(values)}I", *values)
        if len(held) > 4:
            held, extra = struct.pack("<I", 14 + 12 * len(tags) + len(extra)), extra + held
        directory += struct.pack("<HHI", tag, 4, len(values)) + held
    header = b"II*\0" + struct.pack("<I", 8)
    return (header + directory + bytes(4) + extra).ljust(400, b"\0") + data


def icon(side):
    """An entry of 16 x 16 in the directory, and something else behind it."""
    inside = encoded(Image.new("RGBA", (side, side), (1, 2, 3, 4)))
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


BOMBS = {
    "zTXt": lambda: metadata_bomb(b"zTXt", b"\0"),
    "iTXt": lambda: metadata_bomb(b"iTXt", b"\1\0\0\0"),
    "iCCP": lambda: metadata_bomb(b"iCCP", b"\0"),
    "header": lambda: png(struct.pack(">IIBBBBB", 9000, 9000, 16, 6, 0, 0, 0)),
    "tile": lambda: tiff(12_000, planes=False),
    "tile of a plane": lambda: tiff(12_000, planes=True),
    "icon": lambda: icon(3000),
}


@measured
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_reason_before_it_goes_off(name, tmp_path):
    taken, reason = grown(BOMBS[name](), tmp_path, 64)
    assert reason in ("too_many_pixels", "undecodable_image")
    assert taken < 64 << 20


def test_by_default_no_image_takes_more_than_512_mib():
    for header in ((9300, 9300, 16, 6), (16_000, 5000, 8, 4), (40_000, 2000, 8, 6)):
        with pytest.raises(RejectedPayload) as rejected:
            decode_image(png(struct.pack(">IIBBBBB", *header, 0, 0, 0)))
        assert rejected.value.reason == "too_many_pixels"


@pytest.mark.parametrize("size", [(700_001, 1), (1, 700_001), (523, 1031)])
def test_pieces_together_are_the_image(size):
    random = np.random.default_rng(1)
    values = random.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(values, "RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", size, "white"), image).convert("RGB")
    assert decode_image(encoded(image)).tobytes() == whole.tobytes()
    wide = values[:, :, 0].astype(np.uint16) * 257
    grey = np.asarray(decode_image(encoded(Image.fromarray(wide))))
    assert (grey == values[:, :, :1]).all()
