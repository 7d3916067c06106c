"""A cache by which equal payloads are encoded only once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from semdedup_spark.kernels.vectors import FloatArray

_BYTES = 64 * 2**20
_FEWEST = 1024
_GUESSED_DIMENSION = 512  # Until the first vectors are known.


@dataclass(slots=True)
class Outcome:
    """Result of one payload. It is filled in when the payload is rejected or encoded.

    Attributes
    ----------
    vector
        (d,) float32. Unit vector, if there is one.
    reason
        Reason code, if the payload is rejected.
    message
        The reason in words, or a note on the vector.
    """

    vector: FloatArray | None = None
    reason: str | None = None
    message: str | None = None


class OutcomeCache:
    """Outcomes of the most recently used payloads, by a 128-bit hash. Vectors take at most 64 MiB.

    Payloads are prepared ahead of the model. Therefore an :class:`Outcome` is handed out empty and
    filled in later.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, Outcome] = OrderedDict()
        self._most = _BYTES // (4 * _GUESSED_DIMENSION)

    def expect(self, dimension: int) -> None:
        """Set the size of the cache from the length of vectors.

        Parameters
        ----------
        dimension
            Numbers in a vector.
        """
        self._most = max(_FEWEST, _BYTES // (4 * dimension))

    def outcome(self, payload: Any) -> tuple[Outcome, bool]:
        """Find the outcome that a payload shares with its equals, or make a new one.

        Parameters
        ----------
        payload
            Text, bytes, or a dict of these.

        Returns
        -------
        tuple[Outcome, bool]
            The outcome, and whether an equal payload already has it.
        """
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
    """Hash a payload.

    Parameters
    ----------
    payload
        Text, bytes, ``None``, or a dict of these.

    Returns
    -------
    bytes
        16 bytes. Payloads that differ in type or content get different hashes.
    """
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
    # Text from Arrow is valid UTF-8. Other text may hold lone surrogates, which must not fail here.
    data = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    kind = b"t" if isinstance(payload, str) else b"b"
    if data is None:
        found.update(b"n")
    else:
        found.update(kind + b"%d:" % len(data))
        found.update(data)
