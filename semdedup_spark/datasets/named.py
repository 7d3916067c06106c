"""From a name and a folder to pictures, labels and ids."""

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

# Folders under the root that people and torchvision use. Their files have the same names, so both
# are taken from one folder; the root itself is looked at last, and not where it bears the other's
# name.
_FOLDERS = {
    "mnist": ("mnist", "MNIST/raw"),
    "fmnist": ("fmnist", "fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
}
_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class ImageSet:
    """n pictures. ``pixels``: (n, h, w) or (n, h, w, 3) uint8; ``labels``: (n,) int64;
    ``index``: (n,) int64, their places in the original order of the split.
    """

    name: str
    split: Split
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    index: IndexArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.ArrayLike) -> ImageSet:
        """The rows at these positions, in this order."""
        at = np.asarray(rows)
        return ImageSet(self.name, self.split, self.pixels[at], self.labels[at], self.index[at])

    def sample(self, n: int, seed: int = 0) -> ImageSet:
        """``n`` rows chosen by a seeded hash of their index, in the original order; all rows where
        there are no more. A smaller sample is a part of a larger one.
        """
        chosen = np.argsort(hash_ids(self.index, seed), kind="stable")[:n]
        return self.take(np.sort(chosen))


def load_images(name: str, root: Path, split: Split, *, fetch: bool = True) -> ImageSet:
    """The split of a data set, read from under ``root``; where it is not there and ``fetch``, first
    downloaded to ``root`` by torchvision.

    Raises :class:`ConfigError` for an unknown name and :class:`SourceError`, saying where it was
    looked for, where the files are missing and cannot be downloaded.
    """
    if name not in NAMES:
        raise ConfigError(f"the data set must be {', '.join(NAMES)} or a job file. Got {name!r}.")
    found = _read(name, root, split)
    if found is None:
        why = download(name, root) if fetch else "not tried"
        found = _read(name, root, split)
        if found is None:
            raise _missing(name, root, split, why)
    pixels, labels = found
    if len(pixels) != len(labels):
        raise SourceError(
            f"{name} {split} must have a label for each picture. Got {len(pixels)} pictures and "
            f"{len(labels)} labels."
        )
    return ImageSet(name, split, pixels, labels.astype(np.int64), np.arange(len(labels)))


_Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


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


def _missing(name: str, root: Path, split: Split, why: str) -> SourceError:
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
        f"--root {root} must hold {name}'s {split} split: {wanted}. It does not; download: {why}.",
        hint=hint,
    )
