"""Small pictures of large ones, for people to look at."""

from __future__ import annotations

import io

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.protocol import RejectedPayload

SIDE = 160


def thumbnail(payload: bytes | None, side: int = SIDE) -> bytes | None:
    """JPEG bytes of an encoded image, no side longer than ``side``, never enlarged; ``None`` where
    it cannot be decoded.
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
