"""The rows of k-means on a device of torch's: CPU, CUDA or MPS."""

from __future__ import annotations

from typing import Any

import numpy as np

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.kmeans import PartialSums
from semdedup_spark.kernels.vectors import FloatArray

_BLOCK_ROWS = 16_384


class TorchData:
    """See :class:`semdedup_spark.kernels.kmeans.KMeansData`. ``X``: (n, d) float32, unit rows;
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
