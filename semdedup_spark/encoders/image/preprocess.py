"""Turn an encoded image into the square of pixels that a vision model takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image, decoder_identity
from semdedup_spark.encoders.protocol import EncoderSpec

Pixels8 = npt.NDArray[np.uint8]

# A JPEG is never decoded to less than this multiple of the size that it is then resized to. Pillow
# recommends this factor for a result that looks the same.
_DRAFT = 2


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input of a model: resize, crop the middle, normalise.

    Attributes
    ----------
    resize
        Length of the shorter side after resizing, in pixels; of both sides if ``squash``.
    crop
        Side of the square that is cropped from the middle, in pixels. At most ``resize``.
    interpolation
        Name of one of Pillow's filters, in lower case.
    mean
        Mean of red, green and blue, in [0, 1]. The model's input has it subtracted.
    std
        Standard deviation of red, green and blue, in [0, 1]. The model's input is divided by it.
    squash
        Whether the aspect ratio is ignored in resizing.
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
        """Decode, resize and crop an image.

        Raises :class:`RejectedPayload` as :func:`decode_image` does.

        Parameters
        ----------
        payload
            The image file.
        max_pixels
            Most pixels of the image (width times height).
        max_decoded_mb
            Most memory that decoding may take, in MiB.

        Returns
        -------
        Pixels8
            (crop, crop, 3) uint8, RGB, not normalised.
        """
        image = decode_image(payload, max_pixels, _DRAFT * self.resize, max_decoded_mb)
        return np.asarray(self.fit(image))

    def fit(self, image: Image.Image) -> Image.Image:
        """Resize and crop an image.

        The resized image is never made as a whole. For an image 10 pixels wide and 100,000 high it
        would be as large as a thousand others.

        Parameters
        ----------
        image
            RGB image of any size.

        Returns
        -------
        Image.Image
            RGB image of ``crop`` x ``crop`` pixels.
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
        """Describe everything that decides the pixels.

        Returns
        -------
        str
            Part of one line: sizes, filter, normalisation and decoder.
        """
        shape = "squash" if self.squash else "resize"
        mean, std = (",".join(f"{x:.6g}" for x in values) for values in (self.mean, self.std))
        return (
            f"{shape}={self.resize} crop={self.crop} {self.interpolation} mean={mean} std={std} "
            f"{image_identity()}"
        )


def image_identity() -> str:
    """Describe what decides the pixels of all vision models, besides their own preprocessing.

    Returns
    -------
    str
        Factor of the size at which JPEGs are decoded, and version of the decoder.
    """
    return f"draft={_DRAFT}x {decoder_identity()}"
