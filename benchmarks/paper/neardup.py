"""NearDup: rows that share most of their word n-grams with an earlier row. MinHash finds
candidates, and their true Jaccard similarity decides.

datasketch does it, not Spark MLlib: it needs no JVM at this size, has banded LSH (MLlib's
``MinHashLSH`` joins on any one of its hashes) and 128 hashes of a text cost the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]

WORDS = 5
HASHES = 128
# Candidates at or above about this similarity are found.
LEAST = 0.4


def shingles(text: str, words: int = WORDS) -> frozenset[str]:
    """The runs of so many words in a text, lower case; of a shorter text all of it."""
    found = text.lower().split()
    starts = range(max(1, len(found) - words + 1))
    return frozenset(" ".join(found[start : start + words]) for start in starts)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Share of the shingles of both that both have."""
    return len(a & b) / len(a | b)


def max_jaccard(texts: Sequence[str], rank: IndexArray) -> tuple[FloatArray, IndexArray]:
    """(n,) the highest true Jaccard similarity of each row to an earlier candidate, 0 where there
    is none; and (n,) that row, -1 where there is none.
    """
    sets = [shingles(text) for text in texts]
    encoded = [[shingle.encode() for shingle in sorted(each)] for each in sets]
    lsh = MinHashLSH(threshold=LEAST, num_perm=HASHES)
    best = np.zeros(len(texts), dtype=np.float32)
    neighbor = np.full(len(texts), -1, dtype=np.int64)
    signatures = MinHash.bulk(encoded, num_perm=HASHES)
    for row in np.argsort(rank).tolist():
        near = sorted(lsh.query(signatures[row]), key=lambda other: (rank[other], other))
        for other in near:
            similarity = jaccard(sets[row], sets[other])
            if similarity > best[row]:
                best[row], neighbor[row] = similarity, other
        lsh.insert(row, signatures[row])
    return best, neighbor
