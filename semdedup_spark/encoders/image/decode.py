"""Decode image files of any format to RGB, or give the reason why a file cannot be decoded."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from semdedup_spark.encoders.image.decode_cost import HANDED_ON, decoding_bytes, largest_inside
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, leave_note

# The warning is turned off for the whole process, because warnings.catch_warnings is not safe in
# threads. This module itself checks the size that Pillow warns of.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Words in the errors of Pillow's decoders if a file ends too soon.
_TRUNCATED = re.compile(r"truncated|but only got|unexpected end|not enough image data", re.I)
_ORIENTATION = 0x0112
_PIECE_PIXELS = 1 << 18
_ICO = b"\0\0\1\0"
# These formats are refused. EPS would start Ghostscript. The others would unpack their contents, or
# open images inside of them, without a size limit.
_REFUSED_FORMATS = frozenset(["EPS", "FITS", "ICNS", "IPTC", "BLP", "MIC", "FPX", "WMF"])
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decoder_identity() -> str:
    """Name the decoder and its version, which decides the last bits of a pixel.

    Returns
    -------
    str
        Such as ``pillow 12.0.0``.
    """
    return f"pillow {version('pillow')}"


def decode_image(
    payload: bytes,
    max_pixels: int = EncoderSpec.max_pixels,
    draft_size: int | None = None,
    max_decoded_mb: int = EncoderSpec.max_decoded_mb,
) -> Image.Image:
    """Decode the first frame of an image to RGB with 8 bits a channel.

    The image is turned upright as its EXIF data says, and transparent parts are put over white. If
    there are more frames, a note is left. The format is found from the bytes, not from a file name.
    Images over a limit are rejected by their header, before they are decoded. The function is safe
    in threads.

    Parameters
    ----------
    payload
        The image file.
    max_pixels
        Most pixels of the image (width times height).
    draft_size
        Size in pixels that is enough. A JPEG that is much larger is decoded at 1/2, 1/4 or 1/8 of
        its size, with no side shorter than this. That is several times faster; the pixels differ
        a little from those that resizing gives. ``None``: full size.
    max_decoded_mb
        Most memory that decoding may take, in MiB. It depends on size, mode, depth and format.

    Returns
    -------
    Image.Image
        RGB image.

    Raises
    ------
    RejectedPayload
        With reason ``undecodable_image``, ``truncated_image``, or ``too_many_pixels`` for both
        limits.
    """
    # Pillow raises an error from twice this number of pixels on, also for images inside of others,
    # such as in an .ico file.
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
    try:
        return _decode(payload, max_pixels, draft_size, max_decoded_mb)
    except RejectedPayload:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedPayload("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        raise RejectedPayload("undecodable_image", "not an image that Pillow knows") from error
    except Exception as error:  # Pillow's decoders raise many types of exceptions.
        message = f"{type(error).__name__}: {error}"[:500]
        cut = isinstance(error, EOFError) or _TRUNCATED.search(message) or _cut_webp(payload)
        reason = "truncated_image" if cut else "undecodable_image"
        raise RejectedPayload(reason, message) from error


def _decode(
    payload: bytes, max_pixels: int, draft_size: int | None, max_decoded_mb: int
) -> Image.Image:
    if payload.startswith(_ICO):  # Pillow decodes such a file already when opening it.
        _check_memory(largest_inside(payload), max_decoded_mb)
    with Image.open(io.BytesIO(payload), formats=_formats()) as opened:
        pixels = opened.width * opened.height
        if pixels > max_pixels:
            raise RejectedPayload(
                "too_many_pixels", f"{pixels} pixels, more than the limit of {max_pixels}"
            )
        if pixels == 0:
            raise RejectedPayload("undecodable_image", "the image has no pixels")
        if draft_size is not None:
            opened.draft(None, (draft_size, draft_size))  # type: ignore[arg-type]
        _check_memory(decoding_bytes(opened, pixels), max_decoded_mb)
        image = _upright(opened)
    del opened  # This frees the memory of its decoder.
    return _to_rgb(image)


def told_size(payload: bytes) -> tuple[int, int] | None:
    """Read the size that the header of a picture tells. Any bytes may be given.

    Parameters
    ----------
    payload
        The image file. It is not decoded, except for an icon within the limits of
        :func:`decode_image`.

    Returns
    -------
    tuple of int or None
        Width and height in pixels, after turning the image upright as its EXIF data says. ``None``
        if the bytes have no such header, or tell of a size that Pillow takes for an attack.
    """
    try:
        if payload.startswith(_ICO):  # Pillow decodes it when opening it
            return decode_image(payload).size
        with Image.open(io.BytesIO(payload), formats=_formats()) as opened:
            # The method of a PNG would decode it, to find EXIF data at its end.
            return _as_shown(opened.size, Image.Image.getexif(opened))
    except Exception:  # Pillow raises many types of exceptions
        return None


def _as_shown(size: tuple[int, int], exif: Image.Exif) -> tuple[int, int]:
    width, height = size
    return (height, width) if exif.get(_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)


def _check_memory(needed: int, max_decoded_mb: int) -> None:
    if needed > max_decoded_mb * 2**20:
        raise RejectedPayload(
            "too_many_pixels",
            f"decoding takes {-(-needed // 2**20)} MiB, more than the limit of {max_decoded_mb} "
            "(embed.max_decoded_mb)",
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _piece_by_piece(image, _to_8_bits(image))
    if image.has_transparency_data:
        return _piece_by_piece(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _piece_by_piece(
    image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Apply ``to_rgb`` in pieces, so that its temporary memory is never that of the whole image."""
    made = Image.new("RGB", image.size)
    for box in _pieces(image):
        made.paste(to_rgb(image.crop(box)), box)
    return made


def _pieces(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    width = min(image.width, _PIECE_PIXELS)
    height = max(1, _PIECE_PIXELS // width)
    for top in range(0, image.height, height):
        for left in range(0, image.width, width):
            right, bottom = min(left + width, image.width), min(top + height, image.height)
            yield left, top, right, bottom


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _upright(opened: Image.Image) -> Image.Image:
    """Load the image and turn it upright as its EXIF data says.

    Only the orientation is read. Pillow's ``exif_transpose`` parses all EXIF data and writes it
    back, and so fails for images whose other EXIF data is invalid.
    """
    opened.load()
    turn = None
    with suppress(Exception):
        turn = _TURNS.get(opened.getexif().get(_ORIENTATION, 1))
    if turn is not None:
        image = opened.transpose(turn)
    else:
        image = opened if opened.format in HANDED_ON else opened.copy()
    with suppress(Exception):  # A broken second frame must not reject the first.
        if getattr(opened, "is_animated", False):  # For some formats this seeks the second frame.
            leave_note("the first of several frames")
    if image is not opened:
        opened.close()  # This frees its pixels, which are no longer needed beside the copy.
    return image


def _cut_webp(payload: bytes) -> bool:
    """Check whether a RIFF file is shorter than its header says; libwebp gives no such reason."""
    return payload[:4] == b"RIFF" and len(payload) < 8 + int.from_bytes(payload[4:8], "little")


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.OPEN if name not in _REFUSED_FORMATS]


def _to_8_bits(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Make the function that converts grey of 16 bits, 32 bits or floating point to RGB.

    Integers keep the top byte of the range that the values of the image need, and floating-point
    values are scaled. Pillow itself would clip values at 255.
    """
    tops = []
    for box in _pieces(image):
        values = np.asarray(image.crop(box))
        if image.mode == "F" and not np.isfinite(values).all():
            raise RejectedPayload("undecodable_image", "a pixel is not a finite number")
        tops.append(values.max(initial=0))
    if image.mode == "F":
        top = max(float(max(tops)), 1.0)
        scale = 1.0 if 1.0 < top <= 255.0 else 255.0 / top
        return lambda piece: _grey((np.clip(np.asarray(piece), 0, top) * scale).round())
    bits = 16 if image.mode.startswith("I;16") else max(8, int(max(tops)).bit_length())
    shift = 0 if bits == 8 else 8 if bits <= 16 else 24
    return lambda piece: _grey(np.clip(np.asarray(piece).astype(np.int64), 0, None) >> shift)


def _grey(values: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")
