"""Make small pictures for people to look at."""

from __future__ import annotations

import io

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.protocol import RejectedPayload

SIDE = 160


def thumbnail(payload: bytes | None, side: int = SIDE) -> bytes | None:
    """Shrink an encoded image. Small images are not enlarged.

    Parameters
    ----------
    payload
        The image file, or ``None``.
    side
        Most pixels of a side.

    Returns
    -------
    bytes or None
        JPEG file. ``None`` if there is no image or it cannot be decoded.
    """
    if not payload:
        return None
    try:
        image = decode_image(payload, draft_size=side)
    except RejectedPayload:
        return None
    image.thumbnail((side, side))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=82)
    return held.getvalue()
