"""Encode a stream of payloads. They are prepared a piece ahead, and equal ones are encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semdedup_spark.encoders.protocol import Encoder, Noted, RejectedPayload
from semdedup_spark.encoders.stream.batch_size import BatchSize
from semdedup_spark.encoders.stream.encoded_batch import EncodedBatch, check_vectors
from semdedup_spark.encoders.stream.payload_cache import Outcome, OutcomeCache
from semdedup_spark.encoders.stream.prefetch import prefetch
from semdedup_spark.encoders.stream.time_limit import TimeLimit

_PIECES_AHEAD = 2
_FIRST_ROWS = 32
MOST_ROWS = 4096


@dataclass(frozen=True)
class StreamSettings:
    """How a worker goes through its rows. No setting changes a vector.

    Attributes
    ----------
    decode_seconds
        Most seconds that one payload may take to prepare.
    threads
        Payloads prepared at the same time.
    growing
        Whether the best batch size is searched for, see :class:`BatchSize`.
    piece_bytes
        Most bytes of the payloads of a piece, and of these once prepared. At most four pieces
        exist at a time.
    """

    decode_seconds: float = 60.0
    threads: int = 1
    growing: bool = False
    piece_bytes: int = 64 * 2**20


@dataclass
class PieceSize:
    """Size of the next piece. It begins with few rows and grows if prepared payloads are small.

    In a long piece, more texts have the same length and share a forward pass. A short piece keeps
    decoded images from filling the memory.

    Attributes
    ----------
    most_bytes
        Most bytes of a piece.
    rows
        Most rows of a piece.
    """

    most_bytes: int
    rows: int = _FIRST_ROWS

    def learn(self, prepared: Sequence[Any]) -> None:
        """Adapt the number of rows to the largest of some prepared payloads.

        Parameters
        ----------
        prepared
            Prepared payloads of the last piece. If there are none, nothing changes.
        """
        if not prepared:
            return
        largest = max(map(memory_of, prepared))
        self.rows = max(1, min(MOST_ROWS, self.most_bytes // max(largest, 1)))


def memory_of(prepared: Any) -> int:
    """Count the bytes of the arrays in a prepared payload.

    Parameters
    ----------
    prepared
        Array, dict, tuple, or anything else.

    Returns
    -------
    int
        Bytes. 0 if there are no arrays, as for tokens.
    """
    if isinstance(prepared, dict):
        return sum(map(memory_of, prepared.values()))
    if isinstance(prepared, tuple):
        return sum(map(memory_of, prepared))
    return int(getattr(prepared, "nbytes", 0))


@dataclass(frozen=True)
class _Piece:
    """n rows between preparing and encoding.

    Attributes
    ----------
    outcomes
        n entries. Outcome of each row, ``None`` where its payload is absent.
    repeated
        n entries. Whether an equal payload came before.
    waiting
        Prepared payloads that the model has to encode, each with its outcome.
    """

    outcomes: list[Outcome | None]
    repeated: list[bool]
    waiting: list[tuple[Outcome, Any]]


def encode_pieces(
    encoder: Encoder,
    pieces: Callable[[PieceSize], Iterable[Sequence[Any]]],
    settings: StreamSettings,
) -> Iterator[EncodedBatch]:
    """Encode a stream of payloads piece by piece.

    A second thread reads the pieces and prepares their payloads while this one encodes.

    Parameters
    ----------
    encoder
        Encoder to use.
    pieces
        Makes the pieces, each a sequence of payloads or ``None``. It is given the size that the
        next piece should have, an object that changes during iteration.
    settings
        Limits of time and memory.

    Yields
    ------
    EncodedBatch
        Result of one piece, in order.
    """
    size, cache = PieceSize(settings.piece_bytes), OutcomeCache()
    limit = TimeLimit(encoder, settings.decode_seconds, settings.threads)
    batches = BatchSize(encoder, growing=settings.growing)

    def prepared() -> Iterator[_Piece]:
        for payloads in pieces(size):
            yield _prepare(payloads, limit, cache, size)

    for piece in prefetch(prepared(), _PIECES_AHEAD):
        yield _encode(piece, batches, cache)


def _prepare(
    payloads: Sequence[Any], limit: TimeLimit, cache: OutcomeCache, size: PieceSize
) -> _Piece:
    piece = _Piece([None] * len(payloads), [False] * len(payloads), [])
    fresh: list[tuple[Outcome, Any]] = []
    for row, payload in enumerate(payloads):
        if payload is not None:
            piece.outcomes[row], piece.repeated[row] = found = cache.outcome(payload)
            if not found[1]:
                fresh.append((found[0], payload))
    results = limit.prepare([payload for _, payload in fresh])
    for (outcome, _), prepared in zip(fresh, results, strict=True):
        if isinstance(prepared, RejectedPayload):
            outcome.reason, outcome.message = prepared.reason, prepared.message
        elif isinstance(prepared, Noted):
            outcome.message = prepared.note
            piece.waiting.append((outcome, prepared.prepared))
        else:
            piece.waiting.append((outcome, prepared))
    size.learn([prepared for _, prepared in piece.waiting])
    return piece


def _encode(piece: _Piece, batches: BatchSize, cache: OutcomeCache) -> EncodedBatch:
    if piece.waiting:
        encoded = check_vectors(batches.encode([prepared for _, prepared in piece.waiting]))
        cache.expect(encoded.X.shape[1])
        for position, (outcome, _) in enumerate(piece.waiting):
            if encoded.reasons[position] is None:
                outcome.vector = encoded.X[position].copy()  # A view would keep all rows alive.
            else:
                outcome.reason = encoded.reasons[position]
                outcome.message = encoded.messages[position]
    return _together(piece)


def _together(piece: _Piece) -> EncodedBatch:
    absent = Outcome()
    rows = [absent if outcome is None else outcome for outcome in piece.outcomes]
    d = next((len(row.vector) for row in rows if row.vector is not None), 0)
    X = np.zeros((len(rows), d), dtype=np.float32)
    for position, row in enumerate(rows):
        if row.vector is not None:
            X[position] = row.vector
    reasons, messages = [row.reason for row in rows], [row.message for row in rows]
    return EncodedBatch(X, reasons, messages, piece.repeated)
