"""How many payloads go through the model at a time: found, and halved when a GPU's memory ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from semdedup_spark.encoders.protocol import Encoder
from semdedup_spark.kernels.vectors import FloatArray

# On a CPU more rows at a time gain nothing: the matrices of 32 texts or images keep a core busy.
CPU_BATCH = 32
# As much as a GPU is ever given at once; what it does best with is found out from _FIRST up.
GPU_BATCH = 4096
_FIRST = 32
_WORTH_GROWING = 1.05
# One slow call may be another program's doing.
_MOST_MISSES = 2


class BatchSize:
    """Calls ``encode`` with as many payloads as are good for it.

    ``growing``: begin small and double as long as rows come faster; else all that there are. In
    both cases what does not fit into the memory of the GPU is tried again in halves, and smaller
    ones are given from then on.
    """

    def __init__(self, encoder: Encoder, *, growing: bool) -> None:
        self._encoder = encoder
        self._growing = growing
        self._size = _FIRST if growing else sys.maxsize
        self._best = (0.0, _FIRST)  # rows/s, size
        self._misses = 0

    @property
    def size(self) -> int:
        """Most payloads of the next call."""
        return self._size

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """As :meth:`Encoder.encode`, in as many calls as it takes."""
        parts: list[FloatArray] = []
        start = 0
        while start < len(prepared):
            part = prepared[start : start + self._size]
            begun = time.perf_counter()
            X = self._try(part)
            if X is None:
                # Only now: while the error was being handled, its frames held the tensors.
                _give_back_memory()
                self._size, self._growing = len(part) // 2, False
                continue
            parts.append(X)
            start += len(part)
            self._learn(len(part), time.perf_counter() - begun)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _try(self, part: Sequence[Any]) -> FloatArray | None:
        try:
            return self._encoder.encode(part)
        except Exception as error:
            if len(part) > 1 and _out_of_memory(error):
                return None
            raise

    def _learn(self, rows: int, seconds: float) -> None:
        if not self._growing or rows < self._size:
            return
        rate = rows / max(seconds, 1e-9)
        if rate > _WORTH_GROWING * self._best[0]:
            self._best, self._misses = (rate, self._size), 0
        else:
            self._misses += 1
        self._growing = self._misses < _MOST_MISSES and self._size < GPU_BATCH
        self._size = 2 * self._size if self._growing else self._best[1]


def _out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "CUBLAS_STATUS_ALLOC_FAILED" in str(error)


def _give_back_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
