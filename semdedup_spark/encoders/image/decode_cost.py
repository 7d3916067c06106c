"""What decoding an image takes of a worker's memory, by its header: before any of it is taken.

Pillow holds a pixel in 1, 2 or 4 bytes, whatever its depth in the file; some decoders take several
times that on the way. Measured with Pillow 13 on images of 9 million pixels.
"""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

_PNG_SIZES = re.compile(rb"IHDR(.{8})", re.DOTALL)
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP = 258, 277, 278
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1}
_MOST_OF_A_PIXEL = 4
# Beside the image itself, while it is decoded.
_OF_DECODER = {"WEBP": 13, "AVIF": 10, "QOI": 4}
_NOTHING_BESIDE = frozenset(
    ["BMP", "DIB", "GIF", "JPEG", "MPO", "PCX", "PNG", "PPM", "TGA", "TIFF"]
)
_OF_OTHERS = 12
# Formats that are decoded into the image that is handed on; of others a copy is.
HANDED_ON = frozenset(["BMP", "JPEG", "PNG", "PPM"])


def decoding_bytes(opened: Image.Image, full_pixels: int) -> int:
    """Most memory that decoding it, turning it upright and making it RGB takes, in bytes.

    ``opened``: not loaded yet, at the size at which it will be; ``full_pixels``: as in the file.
    """
    held = _held_bytes(opened.mode)
    decoding = held * opened.width * opened.height + _beside(opened) * full_pixels
    if opened.format == "TIFF":
        decoding += _strip_bytes(opened)
    as_it_is = opened.mode == "RGB" and opened.format in HANDED_ON and "exif" not in opened.info
    other = 0 if as_it_is else _MOST_OF_A_PIXEL
    return max(decoding, (held + other) * opened.width * opened.height)


def largest_inside(payload: bytes) -> int:
    """Most memory that a PNG inside of the bytes takes, by the headers of all that are there."""
    sizes = [found[1] for found in _PNG_SIZES.finditer(payload)]
    pixels = [int.from_bytes(size[:4], "big") * int.from_bytes(size[4:], "big") for size in sizes]
    return max(pixels, default=0) * 2 * _MOST_OF_A_PIXEL


def _strip_bytes(opened: Any) -> int:
    """Of a strip or tile, which is unpacked as a whole, and may be larger than the image."""
    tags = opened.tag_v2
    width = max(tags.get(_TILE_WIDTH, 0), opened.width)
    rows = min(tags.get(_ROWS_PER_STRIP, opened.height), opened.height)
    rows = tags.get(_TILE_LENGTH, rows)
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    samples = max(len(bits), tags.get(_SAMPLES_PER_PIXEL, 1))
    return int(width * rows * -(-samples * max(bits) // 8))


def _held_bytes(mode: str) -> int:
    return 2 if mode.startswith("I;16") else _BYTES_OF_MODE.get(mode, _MOST_OF_A_PIXEL)


def _beside(opened: Image.Image) -> int:
    """Bytes for each pixel of the file."""
    n_bands = len(opened.getbands())
    if opened.format in ("JPEG", "MPO") and opened.info.get("progressive"):
        return 2 * n_bands  # all coefficients, before the first pixel
    if opened.format == "JPEG2000":
        return 6 * n_bands
    if opened.format in _NOTHING_BESIDE:
        return 0
    return _OF_DECODER.get(opened.format or "", _OF_OTHERS)
