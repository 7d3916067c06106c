"""An n-gram model with interpolated Kneser-Ney smoothing, on ids of tokens, with numpy.

Chen & Goodman (1998), equation 5, with one discount a level, n1 / (n1 + 2 n2). The lowest level is
mixed with the uniform distribution, so that no token has a probability of zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class KneserNey:
    """Fitted on documents, each of which begins with ``order - 1`` tokens of padding.

    Parameters
    ----------
    documents
        Ids of tokens, below ``n_tokens``.
    n_tokens
        Size of the vocabulary.
    order
        Most tokens that a probability depends on, itself included.
    """

    def __init__(self, documents: Sequence[Ids], n_tokens: int, order: int = 3) -> None:
        if (n_tokens + 1) ** order > 2**62:
            raise ValueError(f"{order}-grams of {n_tokens:,} tokens do not fit into 64 bits.")
        self._order, self._base = order, n_tokens + 1
        grams = self._grams(documents)
        self._levels: list[_Level] = []
        counts = np.ones(len(grams), dtype=np.int64)
        for length in range(order, 0, -1):
            # Below the highest level a gram counts once for each token that comes before it.
            keys, at = np.unique(grams, return_inverse=True)
            counts = np.bincount(at, weights=counts).astype(np.int64)
            self._levels.append(_Level(keys, counts, self._base))
            grams, counts = keys % self._base ** (length - 1), np.ones(len(keys), dtype=np.int64)

    def _grams(self, documents: Sequence[Ids]) -> Ids:
        """All n-grams of all documents, each as one number; the newest token is its last digit."""
        pad = np.full(self._order - 1, self._base - 1, dtype=np.int64)
        found = []
        for document in documents:
            tokens = np.r_[pad, document]
            gram = np.zeros(len(document), dtype=np.int64)
            for place in range(self._order):
                gram = gram * self._base + tokens[place : place + len(document)]
            found.append(gram)
        return np.concatenate(found)

    def log2_probabilities(self, documents: Sequence[Ids]) -> Floats:
        """(t,) log2 of the probability of each token of the documents, given those before it."""
        grams = self._grams(documents)
        probability = np.full(len(grams), 1.0 / (self._base - 1))
        for length, level in enumerate(reversed(self._levels), start=1):
            probability = level.mixed(grams % self._base**length, probability)
        bits: Floats = np.log2(probability)
        return bits

    def perplexity(self, documents: Sequence[Ids]) -> float:
        """Two to the mean number of bits a token."""
        return float(2 ** -self.log2_probabilities(documents).mean())


class _Level:
    """Counts of the grams of one length, and of the contexts that they extend."""

    def __init__(self, keys: Ids, counts: Ids, base: int) -> None:
        self._keys, self._counts, self._base = keys, counts, base
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        self._discount = once / (once + 2 * twice) if once else 0.5
        self._contexts, at = np.unique(keys // base, return_inverse=True)
        self._totals = np.bincount(at, weights=counts)
        self._kinds = np.bincount(at)

    def mixed(self, grams: Ids, lower: Floats) -> Floats:
        """Probabilities at this level, of those one level below."""
        count = _looked_up(self._keys, self._counts, grams)
        total = _looked_up(self._contexts, self._totals, grams // self._base)
        kinds = _looked_up(self._contexts, self._kinds, grams // self._base)
        known = np.maximum(total, 1)
        here = np.maximum(count - self._discount, 0) / known
        mixed: Floats = np.where(total > 0, here + self._discount * kinds / known * lower, lower)
        return mixed


def _looked_up(keys: Ids, values: npt.NDArray[np.generic], wanted: Ids) -> Floats:
    """The value of each wanted key, 0 where there is none. ``keys`` are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at].astype(np.float64), 0.0)
