"""Rows with an encoded picture to tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from semdedup_spark.encoders.images import decode_image

Row = dict[str, Any]


def image_and_label(
    image: str = "image", label: str = "label"
) -> Callable[[Row], tuple[torch.Tensor, int]]:
    """A transform: (3, h, w) uint8 RGB, and the label. ``image``, ``label``: names of columns."""

    def transform(row: Row) -> tuple[torch.Tensor, int]:
        pixels = np.array(decode_image(row[image]))
        return torch.from_numpy(pixels).permute(2, 0, 1), int(row[label])

    return transform


def stacked_pictures(rows: list[Row], image: str = "image", label: str = "label") -> Any:
    """((n, 3, h, w) uint8, (n,) int64) of rows whose pictures have one size: a ``collate_fn``."""
    pixels = np.stack([np.asarray(decode_image(row[image])) for row in rows])
    labels = torch.tensor([int(row[label]) for row in rows])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), labels
