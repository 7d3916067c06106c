"""Checks whether binary values, read as numbers of a given type, can be embeddings.

The entries of true embeddings lie within a few octaves of each other, whatever the length of the
vectors. A wrong type spreads them much further: a float32 value read as two float16 numbers has its
exponent bits spread over eight times as many octaves. Half of a float64 value read as a float32
number is either noise or a number that repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import WIDTHS, from_bytes

# Limits on the standard deviation of log2 of the entries. Normally distributed entries have 1.6 and
# softmax outputs have up to 7. Values read with the wrong type have 12 or more.
_USUAL_OCTAVES, _MOST_OCTAVES = 6.0, 10.0
# The largest entry of a usable vector lies between these two.
_SMALLEST, _LARGEST = 1e-30, 1e30
# Fewer nonzero float32 numbers are no evidence that the values are float64.
_FEWEST_NONZERO = 16


@dataclass(frozen=True)
class Look:
    """What the entries of n vectors look like.

    Attributes
    ----------
    n
        Number of vectors.
    unusable
        Number of vectors that cannot be used: an entry is not finite, all entries are zero, or the
        largest entry lies outside 1e-30 to 1e30.
    octaves
        Standard deviation of log2 of the absolute nonzero finite entries of all vectors, in
        octaves.
    """

    n: int
    unusable: int
    octaves: float

    @property
    def mostly_unusable(self) -> bool:
        """Whether more than half of the vectors cannot be used."""
        return self.unusable > self.n / 2


def look_at(vectors: Sequence[npt.NDArray[np.floating]], *, sized: bool = True) -> Look:
    """Count the unusable vectors and measure how far the sizes of the entries spread.

    Parameters
    ----------
    vectors
        Each (d,) of any float dtype; d may differ from vector to vector.
    sized
        Whether a largest entry outside 1e-30 to 1e30 also makes a vector unusable. If false, only
        entries that are not finite and vectors of zeros do.

    Returns
    -------
    Look
        The counts and the spread.
    """
    unusable, logs = 0, []
    for vector in vectors:
        with np.errstate(invalid="ignore"):  # a signalling NaN would raise a warning
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
    """Apply :func:`look_at` to binary values.

    Parameters
    ----------
    values
        Little-endian numbers, one vector each. A value that is empty, or whose length is not a
        multiple of the type's width, counts as unusable.
    dtype
        One of :data:`semdedup_spark.kernels.vectors.WIDTHS`.

    Returns
    -------
    Look
        The counts and the spread.
    """
    width = WIDTHS[dtype]
    fitting = [value for value in values if value and len(value) % width == 0]
    seen = look_at([from_bytes(value, 1, dtype)[0] for value in fitting])
    return Look(len(values), seen.unusable + len(values) - len(fitting), seen.octaves)


def may_be(values: Sequence[bytes], dtype: str, *, declared: bool = False) -> bool:
    """Decide whether most of the values can be vectors of a type.

    Parameters
    ----------
    values
        Binary values, one vector each.
    dtype
        One of :data:`semdedup_spark.kernels.vectors.WIDTHS`.
    declared
        Whether the user has declared this type. A wider spread of the entries is then accepted.

    Returns
    -------
    bool
        True where at most half of the values are unusable and the spread is within the limit.
    """
    look = look_at_bytes(values, dtype)
    wide = declared and dtype != "float16"  # float16 spans no more than 40 octaves in all
    most = _MOST_OCTAVES if wide else _USUAL_OCTAVES
    return not look.mostly_unusable and look.octaves <= most


def other_types(values: Sequence[bytes], dtype: str) -> list[str]:
    """List the other types that fit the values at least as well as ``dtype``.

    Parameters
    ----------
    values
        Binary values, one vector each.
    dtype
        One of :data:`semdedup_spark.kernels.vectors.WIDTHS`.

    Returns
    -------
    list[str]
        Names of types, in the order of :data:`semdedup_spark.kernels.vectors.WIDTHS`. Where the
        values cannot be of ``dtype``, these are all types that they can be of.
    """
    others = [name for name in WIDTHS if name != dtype and may_be(values, name)]
    if not may_be(values, dtype):
        return others
    # Values that pass as float32 may also pass as another type. Two signs tell the types apart: the
    # lower halves are numbers as well (bfloat16), or every other float32 is zero (float64).
    signs = {"bfloat16": _halves_are_numbers(values), "float64": _every_other_is_zero(values)}
    return [name for name in others if signs.get(name, False)]


def _halves_are_numbers(values: Sequence[bytes]) -> bool:
    """Whether the lower halves of float32 values also look like bfloat16 numbers."""
    lower = [np.frombuffer(value, "<u2")[::2].tobytes() for value in values if len(value) % 4 == 0]
    given = [half for half in lower if np.frombuffer(half, "<u2").any()]
    return len(given) > len(values) / 2 and may_be(given, "bfloat16")


def _every_other_is_zero(values: Sequence[bytes]) -> bool:
    """Whether float32 numbers at even positions are zero, as in float64 values with few digits."""
    vectors = [np.frombuffer(value, "<f4") for value in values if len(value) % 8 == 0]
    nonzero = sum(np.count_nonzero(vector) for vector in vectors)
    return bool(nonzero >= _FEWEST_NONZERO) and not any(vector[::2].any() for vector in vectors)
