"""Encoded image files to RGB, whatever they are, or the reason why not."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version

import numpy as np
from PIL import Image, UnidentifiedImageError

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, leave_note

# Once, for the process: warnings.catch_warnings around each image would not be safe in threads.
# What Pillow warns of, we check.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Pillow's decoders say it in these ways where the file ends too soon.
_TRUNCATED = re.compile(r"truncated|but only got|unexpected end|not enough image data", re.I)
_ORIENTATION = 0x0112
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
    """The decoder's version, which decides the last bits of a pixel."""
    return f"pillow {version('pillow')}"


def decode_image(
    payload: bytes, max_pixels: int = EncoderSpec.max_pixels, draft_size: int | None = None
) -> Image.Image:
    """The first frame as RGB, upright, transparency over white, 8 bits a channel; where there are
    more frames, a note is left.

    The bytes decide what the image is, whatever the file is called. ``max_pixels``: larger images
    are rejected by their header, before they are decoded. ``draft_size``: a JPEG with sides much
    longer than this may come at 1/2, 1/4 or 1/8 of its size, no side shorter than this, which
    is several times faster; the pixels differ a little from those that resizing gives. Safe in
    threads.

    Raises :class:`RejectedPayload` with reason ``undecodable_image``, ``truncated_image`` or
    ``too_many_pixels``.
    """
    # Pillow refuses from twice this on, also images inside of others, such as in an .ico.
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
    try:
        return _decode(payload, max_pixels, draft_size)
    except RejectedPayload:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedPayload("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        raise RejectedPayload("undecodable_image", "not an image that Pillow knows") from error
    except Exception as error:  # Pillow's decoders raise nearly every exception type there is
        message = f"{type(error).__name__}: {error}"[:500]
        cut = isinstance(error, EOFError) or _TRUNCATED.search(message) or _cut_webp(payload)
        reason = "truncated_image" if cut else "undecodable_image"
        raise RejectedPayload(reason, message) from error


def _decode(payload: bytes, max_pixels: int, draft_size: int | None) -> Image.Image:
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
        image = _upright(opened)
        with suppress(Exception):  # a second frame that is broken is none of ours
            if getattr(opened, "is_animated", False):
                leave_note("the first of several frames")
        if image.mode.startswith(("I", "F")):
            image = _to_8_bits(image)
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return image.convert("RGB")


def _upright(opened: Image.Image) -> Image.Image:
    """Loaded, and turned as its EXIF says. What else that holds, and how badly, is none of ours:
    Pillow's ``exif_transpose`` parses all of it and writes it back, and fails where it is odd.
    """
    opened.load()
    turn = None
    with suppress(Exception):
        turn = _TURNS.get(opened.getexif().get(_ORIENTATION, 1))
    return opened.copy() if turn is None else opened.transpose(turn)


def _cut_webp(payload: bytes) -> bool:
    """A RIFF file that is shorter than it says; libwebp does not tell why it gives up."""
    return payload[:4] == b"RIFF" and len(payload) < 8 + int.from_bytes(payload[4:8], "little")


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.OPEN if name != "EPS"]  # EPS would start Ghostscript


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point: the top byte of the range that its values need, or
    scaled; Pillow itself would cut them off at 255.
    """
    values = np.asarray(image)
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise RejectedPayload("undecodable_image", "a pixel is not a finite number")
        top = max(float(values.max(initial=0.0)), 1.0)
        scale = 1.0 if 1.0 < top <= 255.0 else 255.0 / top
        return Image.fromarray((np.clip(values, 0, top) * scale).round().astype(np.uint8))
    wide = np.clip(values.astype(np.int64), 0, None)
    wanted = max(8, int(wide.max(initial=0)).bit_length())
    bits = 16 if image.mode.startswith("I;16") else wanted
    shift = 0 if bits == 8 else 8 if bits <= 16 else 24
    return Image.fromarray((wide >> shift).astype(np.uint8))
