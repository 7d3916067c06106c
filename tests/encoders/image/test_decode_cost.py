"""What an image takes of a worker's memory is bounded, whatever its bytes say."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.protocol import RejectedPayload
from tests.encoders.imagefiles import encoded

SIDE = 2400
# A process of its own decodes one file, and says by how many bytes its peak grew.
DECODE = """
import resource, sys
from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.protocol import RejectedPayload
payload, small = (open(path, "rb").read() for path in sys.argv[1:3])
decode_image(small)  # libraries are loaded
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(payload, max_decoded_mb=int(sys.argv[3]))
    reason = None
except RejectedPayload as rejected:
    reason = rejected.reason
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, reason)
"""


def grey16():
    return np.full((SIDE, SIDE), 300, np.uint16)


def turned(image, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, kind, exif=exif)


def flat(mode, colour):
    return Image.new(mode, (SIDE, SIDE), colour)


IMAGES = {
    "16 bit": lambda: encoded(Image.fromarray(grey16())),
    "32 bit": lambda: encoded(flat("I", 70_000), "TIFF", compression="tiff_deflate"),
    "float": lambda: encoded(flat("F", 3.0), "TIFF", compression="tiff_deflate"),
    "transparent": lambda: encoded(flat("RGBA", (9, 8, 7, 5))),
    "turned": lambda: turned(flat("RGBA", (9, 8, 7, 5)), "PNG"),
    "palette": lambda: encoded(flat("P", 1), transparency=1),
    "CMYK": lambda: encoded(flat("CMYK", (1, 2, 3, 4)), "TIFF", compression="tiff_deflate"),
    "baseline": lambda: encoded(flat("RGB", (9, 8, 7)), "JPEG"),
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


@pytest.mark.parametrize("name", IMAGES)
def test_decoding_takes_no_more_than_is_counted(name, tmp_path):
    """The lowest limit that lets an image through bounds what decoding it takes."""
    payload = IMAGES[name]()
    limit = next(mb for mb in range(1, 400) if let_through(payload, mb))
    taken, reason = grown(payload, tmp_path, limit)
    assert reason == "None"
    assert taken < limit * 2**20 + (16 << 20)  # a piece of it, and what the allocator keeps
    assert limit * 2**20 < 24 * SIDE * SIDE


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
