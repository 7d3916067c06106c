"""Whether bytes, read as numbers of a type, can be embeddings: what is misread shows itself.

A float16 read as half of a float32 has its exponent spread over eight times as many octaves; half
of a float64 that is read as a float32 is noise, or a number that repeats. True embeddings have
entries within a few octaves of each other, whatever their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import WIDTHS, from_bytes

# Standard deviation of log2 of the entries. Normal entries have 1.6, softmax outputs up to 7; what
# is misread has 12 and more.
_USUAL_OCTAVES, _MOST_OCTAVES = 6.0, 10.0
_SMALLEST, _LARGEST = 1e-30, 1e30
_FEW = 16


@dataclass(frozen=True)
class Look:
    """Of n vectors: how many are ``unusable`` (not finite, all zeros, or of a size beyond 1e-30 to
    1e30), and ``octaves``, the standard deviation of log2 of their entries.
    """

    n: int
    unusable: int
    octaves: float

    @property
    def mostly_unusable(self) -> bool:
        """Whether more than half cannot be used."""
        return self.unusable > self.n / 2


def look_at(vectors: Sequence[npt.NDArray[np.floating]], *, sized: bool = True) -> Look:
    """``vectors``: each (d,), of any d and float dtype; ``sized``: a size beyond 1e-30 to 1e30 is
    unusable, else only what is not finite or zero.
    """
    unusable, logs = 0, []
    for vector in vectors:
        with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
            sizes = np.abs(vector.astype(np.float64))
        largest = float(sizes.max(initial=0.0))
        usable = bool(np.isfinite(largest)) and largest > 0
        if usable and sized:
            usable = _SMALLEST < largest < _LARGEST
        unusable += not usable
        there = sizes[np.isfinite(sizes) & (sizes > 0)]
        logs.append(np.log2(there))
    together = np.concatenate(logs) if logs else np.empty(0)
    return Look(len(vectors), unusable, float(together.std()) if len(together) else 0.0)


def look_at_bytes(values: Sequence[bytes], dtype: str) -> Look:
    """:func:`look_at` of little-endian numbers; bytes that are no such numbers are unusable."""
    width = WIDTHS[dtype]
    fitting = [value for value in values if value and len(value) % width == 0]
    seen = look_at([from_bytes(value, 1, dtype)[0] for value in fitting])
    return Look(len(values), seen.unusable + len(values) - len(fitting), seen.octaves)


def may_be(values: Sequence[bytes], dtype: str, *, declared: bool = False) -> bool:
    """Whether most of the values can be vectors of ``dtype``; ``declared``: the user says so."""
    look = look_at_bytes(values, dtype)
    wide = declared and dtype != "float16"  # which has no more than 40 octaves in all
    most = _MOST_OCTAVES if wide else _USUAL_OCTAVES
    return not look.mostly_unusable and look.octaves <= most


def other_types(values: Sequence[bytes], dtype: str) -> list[str]:
    """The types of which the values look no less than of ``dtype``, or better."""
    others = [name for name in WIDTHS if name != dtype and may_be(values, name)]
    if not may_be(values, dtype):
        return others
    # Both may be: a float32 with what could be another number in its lower half, or nothing there.
    signs = {"bfloat16": _halves_are_numbers(values), "float64": _every_other_is_zero(values)}
    return [name for name in others if signs.get(name, False)]


def _halves_are_numbers(values: Sequence[bytes]) -> bool:
    """Whether also the lower halves of float32s look like numbers, bfloat16."""
    lower = [np.frombuffer(value, "<u2")[::2].tobytes() for value in values if len(value) % 4 == 0]
    given = [half for half in lower if np.frombuffer(half, "<u2").any()]
    return len(given) > len(values) / 2 and may_be(given, "bfloat16")


def _every_other_is_zero(values: Sequence[bytes]) -> bool:
    """Whether float32s at even places are all zero, as in a float64 of a short number."""
    vectors = [np.frombuffer(value, "<f4") for value in values if len(value) % 8 == 0]
    nonzero = sum(np.count_nonzero(vector) for vector in vectors)
    return bool(nonzero >= _FEW) and not any(vector[::2].any() for vector in vectors)
