"""The models: a multilayer perceptron for grey pictures, and a small CNN for RGB pictures."""

from __future__ import annotations

import torch
from torch import nn


class FromBytes(nn.Module):
    """Layer that scales pictures from bytes to numbers in [-1, 1], with the channels first."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scale a batch of pictures.

        Parameters
        ----------
        pixels
            (n, h, w) or (n, h, w, c) uint8.

        Returns
        -------
        torch.Tensor
            (n, c, h, w) float32 in [-1, 1].
        """
        channels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        return channels.float() / 127.5 - 1.0


def mlp(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Build a perceptron with two hidden layers of 256 and 128 units.

    Parameters
    ----------
    shape
        Shape of one picture.
    n_classes
        Number of classes.

    Returns
    -------
    nn.Module
        Model from uint8 pictures to (n, n_classes) float32 logits.
    """
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
    """Build a CNN of three convolutions with 16, 32 and 64 channels, and a linear layer.

    Pooling halves the height and the width after each convolution.

    Parameters
    ----------
    shape
        Shape of one picture: (h, w) or (h, w, c). Height and width are at least 8.
    n_classes
        Number of classes.

    Returns
    -------
    nn.Module
        Model from uint8 pictures to (n, n_classes) float32 logits.
    """
    channels = shape[2] if len(shape) == 3 else 1
    layers: list[nn.Module] = [FromBytes()]
    for wide in (16, 32, 64):
        # Pooling before ReLU gives the same values, and ReLU has a quarter of the work.
        layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        channels = wide
    side = shape[0] // 8 * (shape[1] // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * side, n_classes))


def model_for(shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Build the perceptron for grey pictures, or the CNN for RGB pictures.

    Parameters
    ----------
    shape
        Shape of one picture: (h, w) if it is grey, (h, w, 3) if it is RGB.
    n_classes
        Number of classes.

    Returns
    -------
    nn.Module
        Model from uint8 pictures to (n, n_classes) float32 logits.
    """
    return mlp(shape, n_classes) if len(shape) == 2 else small_cnn(shape, n_classes)
