"""Redundancy of a known amount: perturbed copies among the originals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.datasets.named import ImageSet
from semdedup_spark.kernels.vectors import IndexArray


@dataclass(frozen=True)
class Planted:
    """``images``: n rows; ``original``: (n,) int64, for a copy the row that it is a copy of, for an
    original its own number.
    """

    images: ImageSet
    original: IndexArray

    @property
    def is_copy(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the row was planted."""
        copies: npt.NDArray[np.bool_] = self.original != np.arange(len(self.original))
        return copies


def plant_copies(
    images: ImageSet, rate: float, *, copied: float = 0.1, noise: float = 6.0, seed: int = 0
) -> Planted:
    """As many rows as ``images``, of which a share ``rate`` are perturbed copies, in random order.

    The other ``1 - rate`` are the first rows of a shuffle; only a share ``copied`` of these is
    copied, so that redundancy is uneven, as it is on the web. A copy has another brightness (0.9 to
    1.1 times), Gaussian noise of ``noise`` grey values, and half of them are moved by one pixel.
    """
    random = np.random.default_rng(seed)
    n = len(images)
    n_copies = round(rate * n)
    originals = images.take(random.permutation(n)[: n - n_copies])
    favoured = max(1, round(copied * len(originals)))
    source = np.concatenate(
        [np.arange(len(originals)), random.integers(0, favoured, n_copies)]
    ).astype(np.int64)
    pixels = originals.pixels[source]
    for row in range(len(originals), n):
        pixels[row] = _perturbed(pixels[row], noise, random)
    order = random.permutation(n)
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    whole = ImageSet(
        images.name,
        images.split,
        pixels[order],
        originals.labels[source][order],
        originals.index[source][order],
    )
    return Planted(whole, place[source[order]])


def _perturbed(
    pixels: npt.NDArray[np.uint8], noise: float, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    values = pixels.astype(np.float64) * random.uniform(0.9, 1.1)
    if random.random() < 0.5:
        values = np.roll(values, int(random.choice([-1, 1])), axis=int(random.integers(2)))
    values += random.normal(0, noise, values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
