"""Decode rows that hold an encoded picture to tensors."""

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
    """Make a ``transform`` that turns a row into a picture tensor and its label.

    The transform raises :class:`RejectedPayload` for a picture that cannot be decoded.

    Parameters
    ----------
    image
        Name of the column of encoded pictures.
    label
        Name of the column of integer labels.
    mode
        ``RGB``, or ``L`` for grey.

    Returns
    -------
    Callable
        Maps a row to a (3, h, w) uint8 tensor, (1, h, w) for mode ``L``, and an int label.
    """

    def transform(row: Row) -> tuple[torch.Tensor, int]:
        pixels = torch.from_numpy(_pixels(row[image], mode))
        planes = pixels[None] if mode == "L" else pixels.permute(2, 0, 1)
        return planes, int(row[label])

    return transform


def stacked_pictures(
    image: str = "image", label: str = "label", mode: Mode = "RGB"
) -> Callable[[list[Row]], tuple[torch.Tensor, torch.Tensor]]:
    """Make a ``collate_fn`` for rows whose pictures all have the same size.

    Its result has the layout that ``semdedup_spark.experiments`` trains on. The function raises
    :class:`RejectedPayload` for a picture that cannot be decoded.

    Parameters
    ----------
    image
        Name of the column of encoded pictures.
    label
        Name of the column of integer labels.
    mode
        ``RGB``, or ``L`` for grey.

    Returns
    -------
    Callable
        Maps n rows to pixels, (n, h, w, 3) uint8 or (n, h, w) for mode ``L``, and labels, (n,)
        int64.
    """

    def collate(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = np.stack([_pixels(row[image], mode) for row in rows])
        return torch.from_numpy(pixels), torch.tensor([int(row[label]) for row in rows])

    return collate


def _pixels(payload: bytes, mode: Mode) -> Any:
    picture = decode_image(payload)
    return np.array(picture if mode == "RGB" else picture.convert("L"))
