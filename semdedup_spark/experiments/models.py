"""The models: a multilayer perceptron for grey pictures, a small CNN for RGB."""

from __future__ import annotations

import torch
from torch import nn


class FromBytes(nn.Module):
    """(n, h, w) or (n, h, w, c) uint8 to (n, c, h, w) float32 in [-1, 1]."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        channels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        return channels.float() / 127.5 - 1.0


def mlp(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A perceptron of two hidden layers, 256 and 128 units. ``shape``: of one picture."""
    n_values = int(torch.Size(shape).numel())
    return nn.Sequential(
        FromBytes(),
        nn.Flatten(),
        nn.Linear(n_values, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, n_classes),
    )


def small_cnn(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Three convolutions of 16, 32 and 64 channels, each halved in size, and a linear layer."""
    channels = shape[2] if len(shape) == 3 else 1
    layers: list[nn.Module] = [FromBytes()]
    for wide in (16, 32, 64):
        # Pooled before it is rectified: the same values, from a quarter of the work.
        layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        channels = wide
    side = shape[0] // 8 * (shape[1] // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * side, n_classes))


def model_for(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The perceptron for grey pictures, (h, w), the CNN for RGB, (h, w, 3)."""
    return mlp(shape, n_classes) if len(shape) == 2 else small_cnn(shape, n_classes)
