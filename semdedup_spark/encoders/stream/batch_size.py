"""Find how many payloads to encode at a time, and halve the number when GPU memory runs out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from semdedup_spark.encoders.protocol import Encoder
from semdedup_spark.kernels.vectors import FloatArray

# On a CPU, larger batches gain nothing: the matrices of 32 texts or images keep a core busy.
CPU_BATCH = 32
# Largest batch that a GPU is given. The search for the fastest size begins at _FIRST.
GPU_BATCH = 4096
_FIRST = 32
# A larger batch must raise the rate of rows by this factor.
_WORTH_GROWING = 1.05
# Growth ends after this many misses. A single slow call may be caused by another program.
_MOST_MISSES = 2


class BatchSize:
    """Calls an encoder with batches of a good size.

    A batch that does not fit into the memory of the GPU is tried again in halves, and later batches
    are no larger than what fitted.

    Parameters
    ----------
    encoder
        Encoder to call.
    growing
        Whether to begin with small batches and double their size as long as rows per second
        increase. Otherwise each batch holds all payloads of the call.
    """

    def __init__(self, encoder: Encoder, *, growing: bool) -> None:
        self._encoder = encoder
        self._growing = growing
        self._size = _FIRST if growing else sys.maxsize
        self._best = (0.0, _FIRST)  # rows/s, size
        self._misses = 0

    @property
    def size(self) -> int:
        """Most payloads in the next batch."""
        return self._size

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """Encode payloads in as many batches as necessary.

        Parameters
        ----------
        prepared
            n >= 1 prepared payloads, see :meth:`Encoder.encode`.

        Returns
        -------
        FloatArray
            (n, d) float32.
        """
        parts: list[FloatArray] = []
        start = 0
        while start < len(prepared):
            part = prepared[start : start + self._size]
            begun = time.perf_counter()
            X = self._try(part)
            if X is None:
                # Not inside the handler: until the error is gone, its frames hold the tensors.
                _empty_cache()
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


def _empty_cache() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
