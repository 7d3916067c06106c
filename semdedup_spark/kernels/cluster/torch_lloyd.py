"""The rows of k-means on a device of torch's: CPU, CUDA or MPS."""

from __future__ import annotations

from typing import Any

import numpy as np

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.cluster.lloyd import (
    FLOAT32_NOISE,
    Assignment,
    LabelArray,
    PartialSums,
    nearest_labels,
)
from semdedup_spark.kernels.vectors import FloatArray, paired_similarity

_BLOCK_ROWS = 16_384
# Products at a time: 512 MiB of a GPU's memory.
_BLOCK_ENTRIES = 2**27


class OneLevelOnDevice:
    """The nearest of all centroids, found on a device of torch's; the same labels as the CPU finds,
    which settles what is too close to call. ``centroids``: (k, d) float32, unit rows.
    """

    def __init__(self, centroids: FloatArray, device: str) -> None:
        import torch

        # TF32 would round the vectors to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self.centroids = centroids
        self._placed = torch.as_tensor(np.array(centroids)).to(device)

    def assign(self, X: FloatArray) -> Assignment:
        """See :func:`semdedup_spark.kernels.cluster.lloyd.assign`."""
        labels = np.empty(len(X), dtype=np.int32)
        size = max(1, min(_BLOCK_ROWS, _BLOCK_ENTRIES // len(self.centroids)))
        for start in range(0, len(X), size):
            labels[start : start + size] = self._labels(X[start : start + size])
        return Assignment(labels, paired_similarity(X, self.centroids[labels]))

    def _labels(self, X: FloatArray) -> LabelArray:
        import torch

        products = torch.as_tensor(np.array(X)).to(self._placed.device) @ self._placed.T
        best = products.topk(min(2, len(self.centroids)), dim=1)
        labels: LabelArray = best.indices[:, 0].cpu().numpy().astype(np.int32)
        if len(self.centroids) > 1:
            gap = (best.values[:, 0] - best.values[:, 1]).cpu().numpy()
            close = np.flatnonzero(gap <= 2 * FLOAT32_NOISE)
            labels[close] = nearest_labels(X[close], self.centroids)
        return labels


class TorchData:
    """See :class:`~kernels.cluster.lloyd.KMeansData`. ``X``: (n, d) float32, unit rows;
    ``device``: as torch names it, such as ``cuda`` or ``mps``.

    Products and sums are float32 there, so centroids may differ from those of the CPU in the last
    bits; the labels of a finished clustering should come from ``kmeans.assign``.
    """

    def __init__(self, X: FloatArray, device: str) -> None:
        import torch

        # TF32 would round the vectors to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self._X = torch.as_tensor(X).to(device)

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """One block of rows at a time; the sums of the blocks are added in float64."""
        import torch

        C = torch.as_tensor(centroids).to(self._X.device)
        blocks = [self._block(rows, C) for rows in torch.split(self._X, _BLOCK_ROWS)]
        total = blocks[0]
        for block in blocks[1:]:
            total += block
        return total

    def _block(self, X: Any, C: Any) -> PartialSums:
        import torch

        labels = (X @ C.T).argmax(dim=1)  # (b, d) x (d, k) -> (b, k)
        member = torch.zeros(len(X), len(C), device=X.device)
        member[torch.arange(len(X), device=X.device), labels] = 1.0
        sums = member.T @ X  # (k, b) x (b, d) -> (k, d), in a fixed order, unlike index_add
        counts = np.bincount(labels.cpu().numpy(), minlength=len(C)).astype(np.int64)
        return PartialSums(sums.cpu().numpy().astype(np.float64), counts)


def usable_device(name: str) -> str:
    """``name``, as torch names devices, or for ``auto`` the first that torch has here of ``cuda``,
    ``mps`` and ``cpu``. Raises :class:`EnvironmentProblem` for one that it does not have.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch raises either, depending on its build
        said = str(error).splitlines()[0]
        raise EnvironmentProblem(
            f"the device must be one that torch has here. Got {name!r}: {said}",
            hint="auto takes what there is.",
        ) from error
    return name
