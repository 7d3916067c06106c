"""One batch of payloads through an encoder: good vectors, and a reason for each of the others."""

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
    "zero_vector": "the vector has length zero, so no direction",
}


@dataclass(frozen=True)
class EncodedBatch:
    """``X``: (n, d) float32, unit rows, zeros where rejected (d is 0 when nothing was encoded);
    ``reasons``, ``messages``: n entries, ``None`` where the row is good or was absent;
    ``repeated``: where known, n entries, whether the row has the vector of an equal payload.
    """

    X: FloatArray
    reasons: list[str | None]
    messages: list[str | None]
    repeated: list[bool] | None = None


def encode_payloads(encoder: Encoder, payloads: Sequence[Any]) -> EncodedBatch:
    """Encode n payloads; an entry ``None`` (rejected before) stays without vector and reason."""
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
    """Normalise vectors (n, d) of any float dtype; those without a direction get a reason."""
    unit = unit_rows(X)
    messages = [None if reason is None else _WORDS[reason] for reason in unit.reasons]
    return EncodedBatch(unit.X, unit.reasons, messages)


def spread(
    encoded: EncodedBatch | None,
    rows: Sequence[int],
    reasons: list[str | None],
    messages: list[str | None],
) -> EncodedBatch:
    """A batch of n rows of which ``rows`` were encoded (``None``: none was) and the others have the
    n ``reasons`` and ``messages`` given.
    """
    d = 0 if encoded is None else encoded.X.shape[1]
    X = np.zeros((len(reasons), d), dtype=np.float32)
    if encoded is not None:
        X[rows] = encoded.X
        for position, row in enumerate(rows):
            reasons[row], messages[row] = encoded.reasons[position], encoded.messages[position]
    return EncodedBatch(X, reasons, messages)
