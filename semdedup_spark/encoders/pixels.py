"""Raw pixels as a vector: RGB, resized, flattened (Heo & Chen's representation R1)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, rejected_or
from semdedup_spark.kernels.vectors import FloatArray

# Pillow's own limit: a quarter of a gigabyte of 24-bit pixels. Checked before anything is decoded.
MAX_PIXELS = 1024 * 1024 * 1024 // 4 // 3


def pixels_identity(spec: EncoderSpec) -> str:
    """Encoder, size and the decoder's version, which decides the last bits."""
    return f"pixels rgb {spec.image_size}x{spec.image_size} bilinear pillow {version('pillow')}"


class Pixels:
    """See :class:`semdedup_spark.encoders.protocol.Encoder`; payloads are encoded images."""

    def __init__(self, spec: EncoderSpec) -> None:
        self._size = (spec.image_size, spec.image_size)

    def prepare(self, payloads: Sequence[bytes]) -> list[FloatArray | RejectedPayload]:
        """(3 * size * size,) float32 in [0, 1] of each image."""
        return [rejected_or(self._prepare, payload) for payload in payloads]

    def _prepare(self, payload: bytes) -> FloatArray:
        image = decode_image(payload)
        if image.size != self._size:
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        flat: FloatArray = np.asarray(image, dtype=np.float32).reshape(-1) / np.float32(255.0)
        return flat

    def encode(self, prepared: Sequence[FloatArray]) -> FloatArray:
        """(n, 3 * size * size) float32."""
        return np.stack(prepared)


def decode_image(payload: bytes) -> Image.Image:
    """The first frame as RGB, upright, transparency over white, 8 bits a channel.

    The bytes decide what the image is, whatever the file is called. Raises
    :class:`RejectedPayload` with reason ``undecodable_image`` or ``too_many_pixels``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we check ourselves
            return _decode(payload)
    except RejectedPayload:
        raise
    except Image.DecompressionBombError as error:
        raise RejectedPayload("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        raise RejectedPayload("undecodable_image", "not an image that Pillow knows") from error
    except Exception as error:  # Pillow's decoders raise nearly every exception type there is
        message = f"{type(error).__name__}: {error}"[:500]
        raise RejectedPayload("undecodable_image", message) from error


def _decode(payload: bytes) -> Image.Image:
    with Image.open(io.BytesIO(payload), formats=_formats()) as opened:
        pixels = opened.width * opened.height
        if pixels > MAX_PIXELS:
            raise RejectedPayload(
                "too_many_pixels", f"{pixels} pixels, more than the limit of {MAX_PIXELS}"
            )
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):
            image = _to_8_bits(image)
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return image.convert("RGB")


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
