"""Estimate from an image's header how much memory decoding it takes, before it is decoded.

Pillow holds a pixel in 1, 2 or 4 bytes, whatever its depth in the file. Some decoders take several
times as much while they work. The numbers were measured with Pillow 13 on images of 9 million
pixels.
"""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

_PNG_SIZES = re.compile(rb"IHDR(.{8})", re.DOTALL)
# The next segment of a JPEG, as libjpeg finds it: markers without a length are skipped, and bytes
# that belong to nothing.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd9\xff])")
_START_OF_SCAN = 0xDA
# Markers that tell how many components an image has. C4, C8 and CC mean something else.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP = 258, 277, 278
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1}
_MOST_BYTES_A_PIXEL = 4
# Bytes a pixel that a decoder takes in addition to the image itself.
_DECODER_BYTES = {"WEBP": 13, "AVIF": 10, "QOI": 4}
_WITHOUT_DECODER_BYTES = frozenset(
    ["BMP", "DIB", "GIF", "JPEG", "MPO", "PCX", "PNG", "PPM", "TGA", "TIFF"]
)
_DECODER_BYTES_OF_OTHERS = 12
# Formats whose decoded image is handed on as it is. Images of other formats are copied.
HANDED_ON = frozenset(["BMP", "JPEG", "PNG", "PPM"])


def decoding_bytes(opened: Image.Image, full_pixels: int) -> int:
    """Estimate the most memory for decoding an image, turning it upright and converting it to RGB.

    Parameters
    ----------
    opened
        Image that is not loaded yet, with the size at which it will be decoded.
    full_pixels
        Pixels of the image in the file (width times height).

    Returns
    -------
    int
        Bytes.
    """
    held = _held_bytes(opened.mode)
    decoding = held * opened.width * opened.height + _decoder_bytes(opened) * full_pixels
    if opened.format == "TIFF":
        decoding += _strip_bytes(opened)
    as_it_is = opened.mode == "RGB" and opened.format in HANDED_ON and "exif" not in opened.info
    other = 0 if as_it_is else _MOST_BYTES_A_PIXEL
    return max(decoding, (held + other) * opened.width * opened.height)


def largest_inside(payload: bytes) -> int:
    """Estimate the most memory for decoding a PNG inside another file, such as an ICO.

    Parameters
    ----------
    payload
        The file. The headers of all PNGs inside are read.

    Returns
    -------
    int
        Bytes for the largest PNG. 0 if there is none.
    """
    sizes = [found[1] for found in _PNG_SIZES.finditer(payload)]
    pixels = [int.from_bytes(size[:4], "big") * int.from_bytes(size[4:], "big") for size in sizes]
    return max(pixels, default=0) * 2 * _MOST_BYTES_A_PIXEL


def _strip_bytes(opened: Any) -> int:
    """Bytes of a strip or tile. It is unpacked as a whole and may be larger than the image."""
    tags = opened.tag_v2
    width = max(tags.get(_TILE_WIDTH, 0), opened.width)
    rows = min(tags.get(_ROWS_PER_STRIP, opened.height), opened.height)
    rows = tags.get(_TILE_LENGTH, rows)
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    samples = max(len(bits), tags.get(_SAMPLES_PER_PIXEL, 1))
    return int(width * rows * -(-samples * max(bits) // 8))


def _held_bytes(mode: str) -> int:
    return 2 if mode.startswith("I;16") else _BYTES_OF_MODE.get(mode, _MOST_BYTES_A_PIXEL)


def _decoder_bytes(opened: Image.Image) -> int:
    """Bytes for each pixel of the file that the decoder takes in addition to the image."""
    n_bands = len(opened.getbands())
    if opened.format in ("JPEG", "MPO") and _has_several_scans(opened):
        return 2 * n_bands  # All coefficients are held before the first pixel is made.
    if opened.format == "JPEG2000":
        return 6 * n_bands
    if opened.format in _WITHOUT_DECODER_BYTES:
        return 0
    return _DECODER_BYTES.get(opened.format or "", _DECODER_BYTES_OF_OTHERS)


def _has_several_scans(opened: Any) -> bool:
    """Whether a JPEG is progressive, or its first scan lacks a component. So libjpeg decides it.

    Segments are skipped, so that nothing inside of them counts, such as a thumbnail. What follows
    the first scan is not read: libjpeg refuses a second one where the first has all components.
    """
    if opened.info.get("progressive"):
        return True
    place = opened.fp.tell()
    opened.fp.seek(0)
    file: bytes = opened.fp.read()  # From memory, this is no copy.
    opened.fp.seek(place)
    n_components, at = 0, 2
    while (found := _JPEG_MARKER.search(file, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _START_OF_SCAN:
            return int.from_bytes(file[at + 2 : at + 3], "big") < n_components
        if marker in _START_OF_FRAME:
            n_components = int.from_bytes(file[at + 7 : at + 8], "big")
        at += max(2, int.from_bytes(file[at : at + 2], "big"))
    return False
