"""Load an image data set by its name: pixels, labels and original positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from semdedup_spark.datasets.cifar import read_cifar10
from semdedup_spark.datasets.download import download
from semdedup_spark.datasets.idx import read_idx
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.kernels.pruning import hash_ids
from semdedup_spark.kernels.vectors import IndexArray

NAMES = ("mnist", "fmnist", "cifar10")
Split = Literal["train", "test"]

# Folders under the root that people and torchvision use. MNIST and Fashion-MNIST have files of the
# same names, so images and labels must come from one folder. The root itself is searched last, and
# only if its own name is not a folder name of the other data set.
_FOLDERS = {
    "mnist": ("mnist", "MNIST/raw"),
    "fmnist": ("fmnist", "fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
}
_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class ImageSet:
    """n labelled pictures of one split.

    Attributes
    ----------
    name
        ``mnist``, ``fmnist`` or ``cifar10``.
    split
        ``train`` or ``test``.
    pixels
        (n, h, w) uint8 grey, or (n, h, w, 3) uint8 RGB.
    labels
        (n,) int64. Class of each picture.
    index
        (n,) int64. Position of each picture in the original order of the split.
    """

    name: str
    split: Split
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    index: IndexArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.ArrayLike) -> ImageSet:
        """Select rows by position.

        Parameters
        ----------
        rows
            (m,) integers or (n,) booleans. Positions in this set, in the wanted order.

        Returns
        -------
        ImageSet
            The m selected pictures, in the order of ``rows``.
        """
        at = np.asarray(rows)
        return ImageSet(self.name, self.split, self.pixels[at], self.labels[at], self.index[at])

    def sample(self, n: int, seed: int = 0) -> ImageSet:
        """Choose rows by a seeded hash of their index.

        With one seed, a smaller sample is a subset of a larger one.

        Parameters
        ----------
        n
            Number of rows wanted. All rows are taken if there are fewer.
        seed
            Seed of the hash.

        Returns
        -------
        ImageSet
            The chosen pictures, in the order of this set.
        """
        chosen = np.argsort(hash_ids(self.index, seed), kind="stable")[:n]
        return self.take(np.sort(chosen))


def load_images(name: str, root: Path, split: Split, *, fetch: bool = True) -> ImageSet:
    """Load one split of a data set from ``root``, downloading it first if necessary.

    Parameters
    ----------
    name
        ``mnist``, ``fmnist`` or ``cifar10``.
    root
        Folder that holds the files, directly or in a folder named after the data set.
    split
        ``train`` or ``test``.
    fetch
        Whether torchvision may download missing files to ``root``.

    Returns
    -------
    ImageSet
        All pictures of the split, in their original order.

    Raises
    ------
    ConfigError
        If the name is unknown.
    SourceError
        If the files are damaged, or are missing and cannot be downloaded. The message names the
        folders searched.
    """
    if name not in NAMES:
        raise ConfigError(f"the data set must be {', '.join(NAMES)} or a job file. Got {name!r}.")
    pixels, labels = _read_or_download(name, root, split, fetch)
    if len(pixels) != len(labels):
        raise SourceError(
            f"{name} {split} must have a label for each picture. Got {len(pixels)} pictures and "
            f"{len(labels)} labels."
        )
    return ImageSet(name, split, pixels, labels.astype(np.int64), np.arange(len(labels)))


_Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def _read_or_download(name: str, root: Path, split: Split, fetch: bool) -> _Arrays:
    found = _read(name, root, split)
    if found is None:
        outcome = download(name, root) if fetch else "not tried"
        found = _read(name, root, split)
        if found is None:
            raise _missing(name, root, split, outcome)
    return found


def _read(name: str, root: Path, split: Split) -> _Arrays | None:
    if name == "cifar10":
        return read_cifar10(root, split)
    for folder in _folders(name, root):
        images = _idx_file(folder, split, "images-idx3")
        labels = _idx_file(folder, split, "labels-idx1")
        if images is not None and labels is not None:
            return read_idx(images), read_idx(labels).astype(np.int64)
    return None


def _folders(name: str, root: Path) -> list[Path]:
    others = {folder for other, own in _FOLDERS.items() if other != name for folder in own}
    place = root.resolve()
    itself = not {place.name, f"{place.parent.name}/{place.name}"} & others
    return [root / folder for folder in _FOLDERS[name]] + [root] * itself


def _idx_file(folder: Path, split: Split, what: str) -> Path | None:
    files = (folder / f"{_PREFIX[split]}-{what}-ubyte{ending}" for ending in (".gz", ""))
    return next((path for path in files if path.is_file()), None)


def _missing(name: str, root: Path, split: Split, outcome: str) -> SourceError:
    if name == "cifar10":
        wanted = "*.parquet in it or in cifar10/, or torchvision's cifar-10-batches-py/"
    else:
        folders = " or ".join(f"{folder}/" for folder in _FOLDERS[name])
        prefix = _PREFIX[split]
        wanted = (
            f"{prefix}-images-idx3-ubyte.gz and {prefix}-labels-idx1-ubyte.gz, in it or in "
            f"{folders}"
        )
    other: Split = "test" if split == "train" else "train"
    beside = _read(name, root, other) is not None
    hint = f"the {other} split is there: --split {other}." if beside else "copy the files there."
    return SourceError(
        f"--root {root} must hold the {split} split of {name}: {wanted}. It does not. Download: "
        f"{outcome}.",
        hint=hint,
    )
