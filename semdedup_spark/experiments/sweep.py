"""Heo & Chen's sweep: select rows, train a model, measure it.

Results are saved after each cell, so a sweep can be stopped at any time and continued later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from semdedup_spark.datasets import ImageSet
from semdedup_spark.experiments.cells import SEMDEDUP, SUBSET, Cell
from semdedup_spark.experiments.models import model_for
from semdedup_spark.experiments.results import Result, ResultsFile
from semdedup_spark.experiments.trainer import ArrayRows, TrainSettings, train
from semdedup_spark.in_memory.prune import (
    Clusters,
    cluster_vectors,
    keep_least_similar,
    max_similarity_in_clusters,
)
from semdedup_spark.kernels.pruning import Mask
from semdedup_spark.kernels.vectors import FloatArray

# Offset that makes random subsets independent of the methods that rank at random.
_SUBSET_SEEDS = 1_000_000


class Selector:
    """Chooses the rows of each cell.

    All cells of one ratio keep the same number of rows, ``ceil(ratio * n / 100)``.

    Parameters
    ----------
    X
        (n, d) float32. Vectors of the training rows.
    device
        Name of the torch device that clusters the vectors.
    """

    def __init__(self, X: FloatArray, device: str = "cpu") -> None:
        self._X, self._device = X, device
        self._clusters = lru_cache(maxsize=1)(self._cluster)
        self._scores = lru_cache(maxsize=1)(self._score)

    def __call__(self, cell: Cell) -> Mask:
        """Choose the rows that a cell keeps.

        Parameters
        ----------
        cell
            The cell.

        Returns
        -------
        ndarray
            (n,) bool. True for the rows that stay.
        """
        if cell.method == SUBSET:  # all scores are equal, so chance alone decides
            scores = np.zeros(len(self._X), dtype=np.float32)
            return keep_least_similar(scores, cell.ratio, _SUBSET_SEEDS + cell.seed)
        if cell.method == SEMDEDUP:
            return keep_least_similar(
                self._scores(cell.n_clusters, cell.seed), cell.ratio, cell.seed
            )
        rank_type, _, prune_type = cell.method.partition("/")
        clusters = self._clusters(cell.n_clusters, cell.seed)
        rule: dict[str, Any] = {"rank_type": rank_type, "prune_type": prune_type}
        return clusters.prune(cell.ratio, exact_total=True, seed=cell.seed, **rule)

    def _cluster(self, n_clusters: int, seed: int) -> Clusters:
        return cluster_vectors(self._X, n_clusters, seed=seed, device=self._device)

    def _score(self, n_clusters: int, seed: int) -> FloatArray:
        return max_similarity_in_clusters(self._X, self._clusters(n_clusters, seed))


@dataclass(frozen=True)
class Material:
    """The data of a sweep.

    Attributes
    ----------
    train
        The n training pictures.
    test
        Test pictures.
    X
        (n, d) float32. Vectors of ``train``.
    is_copy
        (n,) bool. True for planted copies. None if no copies were planted.
    """

    train: ImageSet
    test: ImageSet
    X: FloatArray
    is_copy: Mask | None = None

    def digest(self) -> str:
        """Compute a digest of all pictures and labels in their order.

        Returns
        -------
        str
            SHA-256, hexadecimal.
        """
        sha = hashlib.sha256()
        for images in (self.train, self.test):
            sha.update(np.ascontiguousarray(images.pixels).tobytes())
            sha.update(np.ascontiguousarray(images.labels).tobytes())
        return sha.hexdigest()


def run_sweep(
    material: Material,
    cells: Sequence[Cell],
    settings: TrainSettings,
    results: ResultsFile,
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Select, train and measure each cell that has no results yet.

    All models of one seed start from the same weights and are trained for the same number of steps.

    Parameters
    ----------
    material
        Pictures and vectors.
    cells
        The cells of the sweep.
    settings
        Settings of each training.
    results
        Where results are kept.
    device
        Name of the torch device that clusters and trains.
    progress
        Function called before each cell and at the end, with the number of cells done and the
        number of all cells that had no results.
    """
    select = Selector(material.X, device)
    shape = material.train.pixels.shape[1:]
    n_classes = int(max(material.train.labels.max(), material.test.labels.max())) + 1
    test = ArrayRows(material.test.pixels, material.test.labels)
    waiting = results.missing(cells)
    for done, cell in enumerate(waiting):
        progress(done, len(waiting))
        kept = select(cell)
        rows = ArrayRows(material.train.pixels[kept], material.train.labels[kept])
        found = train(
            rows, test, lambda: model_for(shape, n_classes), settings, seed=cell.seed, device=device
        )
        copies = -1.0 if material.is_copy is None else _share(kept, material.is_copy)
        results.add(
            [
                Result(
                    cell.method,
                    cell.n_clusters,
                    cell.ratio,
                    cell.seed,
                    int(kept.sum()),
                    copies,
                    point.steps,
                    point.accuracy,
                    round(point.seconds, 4),
                )
                for point in found
            ]
        )
    progress(len(waiting), len(waiting))


def _share(kept: Mask, is_copy: Mask) -> float:
    return float((kept & is_copy).sum() / max(int(is_copy.sum()), 1))


def split_off_test(images: ImageSet, share: float = 0.2) -> tuple[ImageSet, ImageSet]:
    """Split pictures into training and test pictures, if only one split of a data set is there.

    The hash of a picture's index decides, so the split is the same in each run.

    Parameters
    ----------
    images
        All pictures.
    share
        Fraction of them to test with, in [0, 1].

    Returns
    -------
    tuple of ImageSet and ImageSet
        Training pictures, then test pictures.
    """
    n_test = round(share * len(images))
    test = images.sample(n_test, seed=97)
    rest = np.setdiff1d(np.arange(len(images)), np.searchsorted(images.index, test.index))
    return images.take(rest), test
