"""A stream of payloads through an encoder: prepared a piece ahead, equal ones encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semdedup_spark.encoders.protocol import Encoder, Noted, RejectedPayload
from semdedup_spark.encoders.stream.batch_size import BatchSize
from semdedup_spark.encoders.stream.encoded_batch import EncodedBatch, check_vectors
from semdedup_spark.encoders.stream.payload_cache import Outcome, Repeats
from semdedup_spark.encoders.stream.prefetch import ahead
from semdedup_spark.encoders.stream.time_limit import TimeLimit

_PIECES_AHEAD = 2
_FIRST_ROWS = 32
MOST_ROWS = 4096


@dataclass(frozen=True)
class StreamSettings:
    """How a worker goes through its rows; changes no vector.

    ``decode_seconds``: most that one payload may take to prepare; ``threads``: payloads prepared
    at the same time; ``growing``: whether the batch size is found out; ``piece_bytes``: most
    memory of a piece, payloads or what they become; at most four pieces exist at a time.
    """

    decode_seconds: float = 60.0
    threads: int = 1
    growing: bool = False
    piece_bytes: int = 64 * 2**20


@dataclass
class PieceSize:
    """Most rows and bytes of the next piece: few rows at first, more as what they become is small.

    A long piece lets texts of one length meet; a short one keeps decoded images out of memory.
    """

    most_bytes: int
    rows: int = _FIRST_ROWS

    def learn(self, prepared: Sequence[Any]) -> None:
        """Payloads become as large as these; of none nothing is learnt."""
        if not prepared:
            return
        largest = max(map(memory_of, prepared))
        self.rows = max(1, min(MOST_ROWS, self.most_bytes // max(largest, 1)))


def memory_of(prepared: Any) -> int:
    """Bytes of the arrays in a prepared payload; 0 where there are none, as in tokens."""
    if isinstance(prepared, dict):
        return sum(map(memory_of, prepared.values()))
    if isinstance(prepared, tuple):
        return sum(map(memory_of, prepared))
    return int(getattr(prepared, "nbytes", 0))


@dataclass(frozen=True)
class _Piece:
    """n rows on their way. ``outcomes``: of each row, ``None`` where its payload is absent;
    ``repeated``: whether an equal payload came before; ``waiting``: what the model shall encode.
    """

    outcomes: list[Outcome | None]
    repeated: list[bool]
    waiting: list[tuple[Outcome, Any]]


def encode_pieces(
    encoder: Encoder,
    pieces: Callable[[PieceSize], Iterable[Sequence[Any]]],
    settings: StreamSettings,
) -> Iterator[EncodedBatch]:
    """Encode a stream of payloads, ``None`` among them, piece by piece; one result for each piece.

    ``pieces`` is given the size that the next piece should have, which changes as it goes. It is
    read, and its payloads prepared, in a thread beside the one that encodes.
    """
    size, repeats = PieceSize(settings.piece_bytes), Repeats()
    limit = TimeLimit(encoder, settings.decode_seconds, settings.threads)
    batches = BatchSize(encoder, growing=settings.growing)

    def prepared() -> Iterator[_Piece]:
        for payloads in pieces(size):
            yield _prepare(payloads, limit, repeats, size)

    for piece in ahead(prepared(), _PIECES_AHEAD):
        yield _encode(piece, batches, repeats)


def _prepare(
    payloads: Sequence[Any], limit: TimeLimit, repeats: Repeats, size: PieceSize
) -> _Piece:
    piece = _Piece([None] * len(payloads), [False] * len(payloads), [])
    fresh: list[tuple[Outcome, Any]] = []
    for row, payload in enumerate(payloads):
        if payload is not None:
            piece.outcomes[row], piece.repeated[row] = found = repeats.outcome(payload)
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


def _encode(piece: _Piece, batches: BatchSize, repeats: Repeats) -> EncodedBatch:
    if piece.waiting:
        encoded = check_vectors(batches.encode([prepared for _, prepared in piece.waiting]))
        repeats.expect(encoded.X.shape[1])
        for position, (outcome, _) in enumerate(piece.waiting):
            if encoded.reasons[position] is None:
                outcome.vector = encoded.X[position].copy()  # a view would keep the others alive
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
