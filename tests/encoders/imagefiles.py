"""Image files made in memory."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(size=(64, 48)):
    """Smooth, so that JPEG hardly changes it, and different in every corner."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return Image.fromarray((np.stack([x, y, 1 - x * y], axis=2) * 255).astype(np.uint8))
