"""What an encoder is, and how it says no to one payload without failing the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from semdedup_spark.kernels.vectors import FloatArray


@dataclass(frozen=True)
class EncoderSpec:
    """All that a worker needs to load an encoder; small, hashable and picklable.

    ``model``: a local file or directory, a name that the encoder's library knows, or ``None`` for
    the encoder's own; ``max_length``: tokens, ``None`` for the model's own; ``long_text``: what
    becomes of longer texts (``truncate``, ``chunk-mean``, ``reject``); ``pooling``: ``mean``,
    ``cls``, ``last`` or ``None`` for the model's own; ``tower``: ``image``, ``text``,
    ``image+text`` or ``None`` where there is no choice; ``image_size``: pixels a side;
    ``max_pixels``, ``max_decoded_mb``: larger images, and those of which decoding takes more MiB,
    are rejected before they are decoded; ``precision``: dtype of the
    model's arithmetic; ``device``: ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``;
    ``batch_size``: payloads a forward pass; 0, until a worker has a device, which decides;
    ``vector_dtype``: of ready-made vectors that come as bytes;
    ``expected``: the identity that the driver found, which a worker must find too; empty: any.
    """

    name: str
    model: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = None
    long_text: str = "truncate"
    pooling: str | None = None
    tower: str | None = None
    image_size: int = 32
    max_pixels: int = 89_478_485
    max_decoded_mb: int = 512
    precision: str = "float32"
    device: str = "auto"
    batch_size: int = 32
    vector_dtype: str = "float32"
    expected: str = ""


class Encoder(Protocol):
    """A loaded model. ``prepare`` may run in another thread than ``encode``, a batch ahead."""

    def prepare(self, payloads: Sequence[Any]) -> list[Any]:
        """Decode or tokenise n payloads, in order: what ``encode`` wants of each, that as
        :class:`Noted`, or a :class:`RejectedPayload`. Work of the CPU; one bad payload never fails
        others.
        """

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


@dataclass(frozen=True)
class Noted:
    """A prepared payload that says something of itself, such as what was left out of it."""

    prepared: Any
    note: str


_Notes = threading.local()


def leave_note(note: str) -> None:
    """Say something of the payload that this thread prepares, from however deep inside."""
    _Notes.note = note


def rejected_or(prepare: Callable[[Any], Any], payload: Any) -> Any:
    """``prepare(payload)``, with the note that it left, or the :class:`RejectedPayload` that it
    raised.
    """
    _Notes.note = None
    try:
        prepared = prepare(payload)
    except RejectedPayload as rejected:
        return rejected
    return prepared if _Notes.note is None else Noted(prepared, _Notes.note)
