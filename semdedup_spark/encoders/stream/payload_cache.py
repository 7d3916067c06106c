"""Equal payloads go through the model once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from semdedup_spark.kernels.vectors import FloatArray

_BYTES = 64 * 2**20
_FEWEST = 1024
_GUESSED_DIMENSION = 512


@dataclass(slots=True)
class Outcome:
    """What becomes of one payload: once it is known, a unit vector (d,) or a reason. ``message``:
    the reason in words, or a note on the vector.
    """

    vector: FloatArray | None = None
    reason: str | None = None
    message: str | None = None


class Repeats:
    """Outcomes of the payloads seen last, by a hash of 128 bits; at most 64 MiB of vectors.

    Outcomes are handed out before they are known: whoever prepares runs ahead of the model.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, Outcome] = OrderedDict()
        self._most = _BYTES // (4 * _GUESSED_DIMENSION)

    def expect(self, dimension: int) -> None:
        """Vectors have this length."""
        self._most = max(_FEWEST, _BYTES // (4 * dimension))

    def outcome(self, payload: Any) -> tuple[Outcome, bool]:
        """(the payload's outcome, whether an equal payload has it already)."""
        key = digest(payload)
        known = self._seen.get(key)
        if known is not None:
            self._seen.move_to_end(key)
            return known, True
        fresh = self._seen[key] = Outcome()
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return fresh, False


def digest(payload: Any) -> bytes:
    """16 bytes that tell payloads apart: of texts, bytes, and dicts of them (``None`` too)."""
    found = hashlib.blake2b(digest_size=16)
    _feed(found, payload)
    return found.digest()


def _feed(found: Any, payload: Any) -> None:
    if isinstance(payload, dict):
        found.update(b"d%d:" % len(payload))
        for name in sorted(payload):
            _feed(found, name)
            _feed(found, payload[name])
        return
    # Text out of Arrow is valid; of other text, whatever stands for its parts will do.
    data = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    kind = b"t" if isinstance(payload, str) else b"b"
    if data is None:
        found.update(b"n")
    else:
        found.update(kind + b"%d:" % len(data))
        found.update(data)
