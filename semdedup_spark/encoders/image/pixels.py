"""Raw pixels as a vector: RGB, resized, flattened (representation R1 of Heo & Chen 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image, decoder_identity
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, rejected_or
from semdedup_spark.kernels.vectors import FloatArray


def pixels_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of raw pixels.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, size, and the version of the decoder, which decides the last bits.
    """
    return f"pixels rgb {spec.image_size}x{spec.image_size} bilinear {decoder_identity()}"


class Pixels:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are encoded images.

    Parameters
    ----------
    spec
        Encoder settings. ``image_size`` is the side in pixels.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        self._size = (spec.image_size, spec.image_size)
        self._limits = {"max_pixels": spec.max_pixels, "max_decoded_mb": spec.max_decoded_mb}

    def prepare(self, payloads: Sequence[bytes]) -> list[FloatArray | RejectedPayload]:
        """Decode, resize and flatten images.

        Parameters
        ----------
        payloads
            n encoded images.

        Returns
        -------
        list[FloatArray | RejectedPayload]
            n entries: (size * size * 3,) float32 in [0, 1], also as :class:`Noted`; or a
            rejection, see :func:`decode_image`.
        """
        return [rejected_or(self._prepare, payload) for payload in payloads]

    def _prepare(self, payload: bytes) -> FloatArray:
        image = decode_image(payload, **self._limits)
        if image.size != self._size:
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        flat: FloatArray = np.asarray(image, dtype=np.float32).reshape(-1) / np.float32(255.0)
        return flat

    def encode(self, prepared: Sequence[FloatArray]) -> FloatArray:
        """Stack flattened images.

        Parameters
        ----------
        prepared
            n >= 1 flattened images.

        Returns
        -------
        FloatArray
            (n, size * size * 3) float32.
        """
        return np.stack(prepared)
