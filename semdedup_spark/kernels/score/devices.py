"""Where products are made: numpy on the CPU, torch on a GPU."""

from __future__ import annotations

from typing import Any

from semdedup_spark.kernels.score.similarity import BLOCK
from semdedup_spark.kernels.vectors import FloatArray

_GPU_BLOCK = 4096
# Where larger blocks start to win; measured at 384 dimensions, for 100 to 4,000 rows.
_MANY_ROWS = 3000


def place(X: FloatArray, device: str, *, half: bool = False) -> Any:
    """``X`` as the kernels want it: itself for ``cpu``, else a torch tensor on the device, of
    float16 if ``half``.

    On one CPU thread numpy multiplies as fast as torch and finds the maximum of a row 10 times
    faster, so that torch is not even imported there.
    """
    if device == "cpu":
        return X
    import torch

    # TF32 errs by 1e-3, more than the eps of the paper (0.00095).
    torch.backends.cuda.matmul.allow_tf32 = False
    tensor = torch.as_tensor(X)
    return (tensor.half() if half else tensor).to(device)


def block_rows(device: str, n: int) -> int:
    """Rows to compare at a time, of n that are compared with each other."""
    if device != "cpu":
        return _GPU_BLOCK
    return BLOCK if n < _MANY_ROWS else 2 * BLOCK
