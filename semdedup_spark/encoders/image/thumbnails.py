"""Make small pictures for people to look at."""

from __future__ import annotations

import io
from dataclasses import dataclass

from semdedup_spark.encoders.image.decode import decode_image, told_size
from semdedup_spark.encoders.protocol import RejectedPayload

SIDE = 320


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, and what the image itself measures.

    Attributes
    ----------
    jpeg
        The small picture, a JPEG file.
    width
        Pixels of the image itself from left to right, turned upright.
    height
        Its pixels from top to bottom.
    n_bytes
        Size of the image file, in bytes.
    """

    jpeg: bytes
    width: int
    height: int
    n_bytes: int


def thumbnail(payload: bytes | None, side: int = SIDE) -> Thumbnail | None:
    """Shrink an encoded image. Small images are not enlarged.

    Parameters
    ----------
    payload
        The image file, or ``None``.
    side
        Most pixels of a side.

    Returns
    -------
    Thumbnail or None
        The small picture. ``None`` if there is no image or it cannot be decoded.
    """
    if not payload:
        return None
    try:
        image = decode_image(payload, draft_size=side)
    except RejectedPayload:
        return None
    width, height = told_size(payload) or image.size
    image.thumbnail((side, side))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=82)
    return Thumbnail(held.getvalue(), width, height, len(payload))
