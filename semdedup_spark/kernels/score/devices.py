"""Where products are computed: with numpy on the CPU, with torch on a GPU."""

from __future__ import annotations

from typing import Any

from semdedup_spark.kernels.score.similarity import BLOCK
from semdedup_spark.kernels.vectors import FloatArray

_GPU_BLOCK = 4096
# From this many rows on larger blocks are faster, measured at 384 dimensions for 100 to 4,000 rows.
_MANY_ROWS = 3000


def place(X: FloatArray, device: str, *, half: bool = False) -> Any:
    """Place rows on the device that multiplies them.

    On one CPU thread numpy multiplies as fast as torch, and finds the maximum of a row 10 times
    faster. So torch is not even imported there.

    Parameters
    ----------
    X
        (n, d) float32.
    device
        ``cpu``, or torch's name of a device.
    half
        Whether the copy on the device is float16. It has no effect on ``cpu``.

    Returns
    -------
    ndarray | Tensor
        ``X`` itself for ``cpu``, else a torch tensor on the device.
    """
    if device == "cpu":
        return X
    import torch

    # The error of TF32 is 1e-3, more than the smallest eps of interest (0.00095, in the paper).
    torch.backends.cuda.matmul.allow_tf32 = False
    tensor = torch.as_tensor(X)
    return (tensor.half() if half else tensor).to(device)


def block_rows(device: str, n: int) -> int:
    """Choose how many rows to compare at a time.

    Parameters
    ----------
    device
        ``cpu``, or torch's name of a device.
    n
        Number of rows that are compared with each other.

    Returns
    -------
    int
        Rows per block.
    """
    if device != "cpu":
        return _GPU_BLOCK
    return BLOCK if n < _MANY_ROWS else 2 * BLOCK
