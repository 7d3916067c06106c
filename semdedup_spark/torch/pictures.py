"""Rows with an encoded picture to tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch

from semdedup_spark.encoders.image.decode import decode_image

Row = dict[str, Any]
Mode = Literal["RGB", "L"]


def image_and_label(
    image: str = "image", label: str = "label", mode: Mode = "RGB"
) -> Callable[[Row], tuple[torch.Tensor, int]]:
    """A transform: (3, h, w) uint8, or (1, h, w) for mode ``L``, and the label. ``image``,
    ``label``: names of columns; ``mode``: RGB, or grey.
    """

    def transform(row: Row) -> tuple[torch.Tensor, int]:
        pixels = torch.from_numpy(_pixels(row[image], mode))
        planes = pixels[None] if mode == "L" else pixels.permute(2, 0, 1)
        return planes, int(row[label])

    return transform


def stacked_pictures(
    image: str = "image", label: str = "label", mode: Mode = "RGB"
) -> Callable[[list[Row]], tuple[torch.Tensor, torch.Tensor]]:
    """A ``collate_fn`` for rows as dicts whose pictures have one size: (n, h, w, 3) uint8, or
    (n, h, w) for mode ``L``, and (n,) int64 labels, as ``semdedup_spark.training`` takes them.
    """

    def collate(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = np.stack([_pixels(row[image], mode) for row in rows])
        return torch.from_numpy(pixels), torch.tensor([int(row[label]) for row in rows])

    return collate


def _pixels(payload: bytes, mode: Mode) -> Any:
    picture = decode_image(payload)
    return np.array(picture if mode == "RGB" else picture.convert("L"))
