"""Encode one batch of payloads to unit vectors, with a reason for each payload that has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdedup_spark.encoders.protocol import Encoder, Noted, RejectedPayload
from semdedup_spark.kernels.vectors import FloatArray, unit_rows

_WORDS = {
    "non_finite_vector": "the vector holds NaN or infinity",
    "zero_vector": "the vector has length zero, so it has no direction",
}


@dataclass(frozen=True)
class EncodedBatch:
    """Vectors of n payloads, and why some have none.

    Attributes
    ----------
    X
        (n, d) float32. Unit rows; zeros where rejected or absent. d is 0 if nothing was encoded.
    reasons
        n entries. Reason code of a rejected row, otherwise ``None``.
    messages
        n entries. The reason in words, or a note on a good row, otherwise ``None``.
    repeated
        n entries. Whether an equal payload came before. ``None`` if not known.
    """

    X: FloatArray
    reasons: list[str | None]
    messages: list[str | None]
    repeated: list[bool] | None = None


def encode_payloads(encoder: Encoder, payloads: Sequence[Any]) -> EncodedBatch:
    """Encode payloads in one batch.

    Parameters
    ----------
    encoder
        Encoder to use.
    payloads
        n payloads. ``None`` (rejected earlier) gets neither vector nor reason.

    Returns
    -------
    EncodedBatch
        n rows.
    """
    reasons: list[str | None] = [None] * len(payloads)
    messages: list[str | None] = [None] * len(payloads)
    present = [row for row, payload in enumerate(payloads) if payload is not None]
    rows, good = [], []
    for row, prepared in zip(
        present, encoder.prepare([payloads[row] for row in present]), strict=True
    ):
        if isinstance(prepared, RejectedPayload):
            reasons[row], messages[row] = prepared.reason, prepared.message
        else:
            rows.append(row)
            good.append(prepared.prepared if isinstance(prepared, Noted) else prepared)
    encoded = check_vectors(encoder.encode(good)) if rows else None
    return spread(encoded, rows, reasons, messages)


def check_vectors(X: npt.NDArray[np.floating[Any]]) -> EncodedBatch:
    """Normalise vectors. Those without a direction get a reason.

    Parameters
    ----------
    X
        (n, d), any float dtype.

    Returns
    -------
    EncodedBatch
        n rows.
    """
    unit = unit_rows(X)
    messages = [None if reason is None else _WORDS[reason] for reason in unit.reasons]
    return EncodedBatch(unit.X, unit.reasons, messages)


def spread(
    encoded: EncodedBatch | None,
    rows: Sequence[int],
    reasons: list[str | None],
    messages: list[str | None],
) -> EncodedBatch:
    """Spread encoded rows over a batch that also has rows that were not encoded.

    Parameters
    ----------
    encoded
        m encoded rows, or ``None`` if none was encoded.
    rows
        m positions of the encoded rows in the batch.
    reasons
        n entries. Reasons of the other rows. Those of encoded rows are filled in, in place.
    messages
        n entries. Messages of the other rows. Those of encoded rows are filled in, in place.

    Returns
    -------
    EncodedBatch
        n rows.
    """
    d = 0 if encoded is None else encoded.X.shape[1]
    X = np.zeros((len(reasons), d), dtype=np.float32)
    if encoded is not None:
        X[rows] = encoded.X
        for position, row in enumerate(rows):
            reasons[row], messages[row] = encoded.reasons[position], encoded.messages[position]
    return EncodedBatch(X, reasons, messages)
