"""Heo & Chen's sweep: select, train, measure; cell by cell, so that it can be stopped any time."""

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

# The random subsets' draws have nothing to do with those of the rules that rank by chance.
_SUBSET_SEEDS = 1_000_000


class Selector:
    """What each cell keeps. ``X``: (n, d) vectors of the training rows. All cells of one ratio keep
    the same number of rows, ``ceil(ratio * n / 100)``.
    """

    def __init__(self, X: FloatArray, device: str = "cpu") -> None:
        self._X, self._device = X, device
        self._clusters = lru_cache(maxsize=1)(self._cluster)
        self._scores = lru_cache(maxsize=1)(self._score)

    def __call__(self, cell: Cell) -> Mask:
        """(n,) which rows stay."""
        if cell.method == SUBSET:  # the one with the lowest random scores, whatever the clusters
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
    """``train``, ``test``: pictures; ``X``: (n, d) vectors of ``train``; ``is_copy``: (n,), where
    copies were planted.
    """

    train: ImageSet
    test: ImageSet
    X: FloatArray
    is_copy: Mask | None = None

    def digest(self) -> str:
        """Of all pictures and labels, in their order."""
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
    """Every cell that ``results`` does not have yet. A cell's model starts from the same weights
    and sees as many steps as any other of its seed.
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
    """(train, test): a split of its own where only one is at hand, by hash of the index."""
    n_test = round(share * len(images))
    test = images.sample(n_test, seed=97)
    rest = np.setdiff1d(np.arange(len(images)), np.searchsorted(images.index, test.index))
    return images.take(rest), test
