"""The protocol of encoders, and how an encoder rejects one payload without failing the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.visible import masked_repr


@masked_repr
@dataclass(frozen=True)
class EncoderSpec:
    """Everything that a worker needs to load an encoder. Small, hashable and picklable.

    Attributes
    ----------
    name
        Key of :data:`semdedup_spark.encoders.registry.ENCODERS`, or ``none`` for ready-made
        vectors.
    model
        Local file or directory, or a name that the encoder's library knows. ``None``: the encoder's
        own model.
    trust_remote_code
        Whether code that comes with the model may run.
    max_length
        Most tokens of a text. ``None``: the model's own limit.
    long_text
        Treatment of longer texts: ``truncate``, ``chunk-mean`` or ``reject``.
    pooling
        ``mean``, ``cls`` or ``last``. ``None``: the default of the encoder.
    prefix
        Text put before each text by ``hf-text`` and ``onnx``. ``None``: nothing.
    tower
        ``image``, ``text`` or ``image+text``. ``None``: what each payload holds.
    image_size
        Side of the image in pixels, for encoder ``pixels``.
    max_pixels
        Most pixels of an image. Larger images are rejected before they are decoded.
    max_decoded_mb
        Most memory for decoding an image, in MiB. Images that need more are rejected before they
        are decoded.
    precision
        dtype of the model's arithmetic: ``float32``, ``bfloat16`` or ``float16``.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.
    batch_size
        Payloads in a forward pass. 0 until a worker knows its device, which decides the number.
    vector_dtype
        dtype of ready-made vectors that come as bytes.
    expected
        Identity of the encoder on the driver. A worker refuses to load any other. Empty: no check.
    """

    name: str
    model: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = None
    long_text: str = "truncate"
    pooling: str | None = None
    prefix: str | None = None
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
        """Decode or tokenise payloads on the CPU. One bad payload never fails the others.

        Parameters
        ----------
        payloads
            n payloads: texts, encoded images, or dicts of these.

        Returns
        -------
        list[Any]
            n entries, in order: the input of ``encode``, that input as :class:`Noted`, or a
            :class:`RejectedPayload`.
        """

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """Compute the vectors of prepared payloads.

        A row's vector must not depend on the other payloads of the call.

        Parameters
        ----------
        prepared
            n >= 1 results of :meth:`prepare`, without rejected ones and without notes.

        Returns
        -------
        FloatArray
            (n, d) float32. Rows need not have unit length.
        """


class RejectedPayload(Exception):
    """A payload that cannot have a vector.

    Parameters
    ----------
    reason
        Code for the table ``quarantine``.
    message
        The reason in words.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Noted:
    """A prepared payload with a note on it, such as what was left out.

    Attributes
    ----------
    prepared
        Input of :meth:`Encoder.encode`.
    note
        The note in words.
    """

    prepared: Any
    note: str


_Notes = threading.local()


def leave_note(note: str) -> None:
    """Leave a note on the payload that this thread is preparing, from any depth of calls.

    Parameters
    ----------
    note
        The note in words. It replaces an earlier one.
    """
    _Notes.note = note


def rejected_or(prepare: Callable[[Any], Any], payload: Any) -> Any:
    """Prepare one payload, and return a rejection instead of raising it.

    Parameters
    ----------
    prepare
        Function that prepares a payload.
    payload
        The payload.

    Returns
    -------
    Any
        Result of ``prepare``, as :class:`Noted` if it left a note; or the
        :class:`RejectedPayload` that it raised.
    """
    _Notes.note = None
    try:
        prepared = prepare(payload)
    except RejectedPayload as rejected:
        return rejected
    return prepared if _Notes.note is None else Noted(prepared, _Notes.note)
