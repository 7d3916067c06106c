"""Raw pixels as a vector: RGB, resized, flattened (Heo & Chen's representation R1)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from PIL import Image, ImageOps

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
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

    def prepare(self, payload: bytes) -> FloatArray:
        """(3 * size * size,) float32 in [0, 1]."""
        image = decode_image(payload)
        if image.size != self._size:
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        flat: FloatArray = np.asarray(image, dtype=np.float32).reshape(-1) / np.float32(255.0)
        return flat

    def encode(self, prepared: Sequence[FloatArray]) -> FloatArray:
        """(n, 3 * size * size) float32."""
        return np.stack(prepared)


def decode_image(payload: bytes) -> Image.Image:
    """The first frame as RGB, upright, transparency over white.

    The bytes decide what the image is, whatever the file is called. Raises
    :class:`RejectedPayload` with reason ``undecodable_image`` or ``too_many_pixels``.
    """
    try:
        with Image.open(io.BytesIO(payload)) as opened:
            pixels = opened.width * opened.height
            if pixels > MAX_PIXELS:
                raise RejectedPayload(
                    "too_many_pixels", f"{pixels} pixels, more than the limit of {MAX_PIXELS}"
                )
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                rgba = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            return image.convert("RGB")
    except RejectedPayload:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every exception type there is
        raise RejectedPayload(
            "undecodable_image", f"{type(error).__name__}: {error}"[:500]
        ) from error
