"""From an encoded image to the square of pixels that a vision model was trained to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image, decoder_identity
from semdedup_spark.encoders.protocol import EncoderSpec

Pixels8 = npt.NDArray[np.uint8]

# A JPEG may be decoded smaller, but to no less than this many times the size that it is resized
# to: Pillow's own advice for a result that looks the same.
_DRAFT = 2


@dataclass(frozen=True)
class Preprocessing:
    """Resize to ``resize`` pixels (the shorter side; both if ``squash``), then cut the middle
    ``crop`` x ``crop`` pixels out. ``interpolation``: a name of Pillow's, in lower case; ``mean``
    and ``std``: of each of red, green and blue in [0, 1], what the model takes off and divides by.
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    squash: bool = False

    def __post_init__(self) -> None:
        if self.crop > self.resize:
            raise ValueError(f"crop must be at most resize, {self.resize}. Got {self.crop}.")

    def apply(
        self,
        payload: bytes,
        max_pixels: int,
        max_decoded_mb: int = EncoderSpec.max_decoded_mb,
    ) -> Pixels8:
        """(crop, crop, 3) uint8, RGB. Raises as :func:`decode_image` does."""
        image = decode_image(payload, max_pixels, _DRAFT * self.resize, max_decoded_mb)
        return np.asarray(self.fit(image))

    def fit(self, image: Image.Image) -> Image.Image:
        """``crop`` x ``crop`` pixels of an RGB image.

        The resized image is never made as a whole: of one 10 pixels wide and 100,000 high it would
        be as large as a thousand others.
        """
        width, height = self._resized(*image.size)
        x, y = image.width / width, image.height / height
        left, top = round((width - self.crop) / 2), round((height - self.crop) / 2)
        box = (
            left * x,
            top * y,
            min((left + self.crop) * x, image.width),
            min((top + self.crop) * y, image.height),
        )
        size = (self.crop, self.crop)
        return image.resize(size, Image.Resampling[self.interpolation.upper()], box=box)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if self.squash:
            return self.resize, self.resize
        if width <= height:
            return self.resize, self.resize * height // width
        return self.resize * width // height, self.resize

    def identity(self) -> str:
        """All that decides the pixels, in a few words."""
        shape = "squash" if self.squash else "resize"
        mean, std = (",".join(f"{x:.6g}" for x in values) for values in (self.mean, self.std))
        return (
            f"{shape}={self.resize} crop={self.crop} {self.interpolation} mean={mean} std={std} "
            f"{image_identity()}"
        )


def image_identity() -> str:
    """What decides the pixels of any vision model beside its own preprocessing."""
    return f"draft={_DRAFT}x {decoder_identity()}"
