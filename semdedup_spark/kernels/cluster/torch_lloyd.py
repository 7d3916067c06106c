"""k-means on a torch device: the CPU, CUDA or MPS."""

from __future__ import annotations

from typing import Any

import numpy as np

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray, nearest_labels
from semdedup_spark.kernels.cluster.partial_sums import PartialSums
from semdedup_spark.kernels.vectors import FLOAT32_NOISE, FloatArray, paired_similarity

_BLOCK_ROWS = 16_384
# Products per block: 512 MiB of a GPU's memory.
_BLOCK_ENTRIES = 2**27


class OneLevelOnDevice:
    """Assigns each row to the nearest of all centroids, on a torch device.

    The labels are those that the CPU finds: the CPU decides where two centroids are too close to
    call.

    Parameters
    ----------
    centroids
        (k, d) float32. Unit rows.
    device
        Torch's name of the device, such as ``cuda`` or ``mps``.
    """

    def __init__(self, centroids: FloatArray, device: str) -> None:
        import torch

        # TF32 would round the vectors to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self.centroids = centroids
        self._placed = torch.as_tensor(np.array(centroids)).to(device)

    def assign(self, X: FloatArray) -> Assignment:
        """Assign each row; see :func:`semdedup_spark.kernels.cluster.lloyd.assign`.

        Parameters
        ----------
        X
            (n, d) float32. Unit rows.

        Returns
        -------
        Assignment
            The labels, and the similarities to the centroids.
        """
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
    """The rows to cluster, on a torch device.

    It is a :class:`semdedup_spark.kernels.cluster.partial_sums.KMeansData`. Products and sums are
    float32 there, so centroids may differ from those of the CPU in the last bits. The labels of a
    finished clustering should come from :func:`semdedup_spark.kernels.cluster.lloyd.assign`.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    device
        Torch's name of the device, such as ``cuda`` or ``mps``.
    """

    def __init__(self, X: FloatArray, device: str) -> None:
        import torch

        # TF32 would round the vectors to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self._X = torch.as_tensor(X).to(device)

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """Assign every row and sum, one block of rows at a time.

        The sums of the blocks are added in float64.

        Parameters
        ----------
        centroids
            (k, d) float32. Unit rows.

        Returns
        -------
        PartialSums
            Sums and counts of all rows.
        """
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
    """Check that torch has a device here, or choose one.

    Parameters
    ----------
    name
        Torch's name of a device, or ``auto`` for the first available of ``cuda``, ``mps`` and
        ``cpu``.

    Returns
    -------
    str
        Torch's name of the device.

    Raises
    ------
    EnvironmentProblem
        If torch does not have the device here.
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
