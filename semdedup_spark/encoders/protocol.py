"""What an encoder is, and how it says no to one payload without failing the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from semdedup_spark.kernels.vectors import FloatArray


@dataclass(frozen=True)
class EncoderSpec:
    """All that a worker needs to load an encoder; small, hashable and picklable.

    ``model``: a local directory, or ``None`` for the encoder's own; ``max_length``: tokens;
    ``image_size``: pixels a side; ``precision``: dtype of the model's arithmetic; ``device``:
    ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``; ``batch_size``: payloads a forward pass.
    """

    name: str
    model: str | None = None
    max_length: int = 256
    image_size: int = 32
    precision: str = "float32"
    device: str = "auto"
    batch_size: int = 32


class Encoder(Protocol):
    """A loaded model."""

    def prepare(self, payload: Any) -> Any:
        """Decode one payload. Raises :class:`RejectedPayload`; never fails otherwise."""

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """(n, d) float32 for n prepared payloads, n >= 1; rows need not have unit length.

        A row's vector must not depend on the other payloads of the call.
        """


class RejectedPayload(Exception):
    """A payload that has no vector. ``reason``: code for ``quarantine``; ``message``: words."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
