"""Make a data set of known redundancy by planting perturbed copies among its originals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.datasets.named import ImageSet
from semdedup_spark.kernels.vectors import IndexArray


@dataclass(frozen=True)
class Planted:
    """An image set in which some rows are perturbed copies of others.

    Attributes
    ----------
    images
        n pictures, originals and copies in random order.
    original
        (n,) int64. Row number of the original: for a copy the row it was copied from, for an
        original its own row.
    """

    images: ImageSet
    original: IndexArray

    @property
    def is_copy(self) -> npt.NDArray[np.bool_]:
        """(n,) bool. Whether each row is a planted copy."""
        copies: npt.NDArray[np.bool_] = self.original != np.arange(len(self.original))
        return copies


def plant_copies(
    images: ImageSet, rate: float, *, copied: float = 0.1, noise: float = 6.0, seed: int = 0
) -> Planted:
    """Replace a share of the pictures by perturbed copies of the others.

    The originals are the first ``1 - rate`` of the rows after a shuffle. A copy differs from its
    original in brightness (0.9 to 1.1 times) and by Gaussian noise; half of the copies are also
    shifted by one pixel.

    Parameters
    ----------
    images
        n pictures.
    rate
        Share of the result that is copies, in [0, 1).
    copied
        Share of the originals that is ever copied, in (0, 1]. A small share makes redundancy
        uneven, as it is on the web.
    noise
        Standard deviation of the noise, in grey values (0 to 255).
    seed
        Seed of all random choices.

    Returns
    -------
    Planted
        n rows in random order, with the original of each.
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
