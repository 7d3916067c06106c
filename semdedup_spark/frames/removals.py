"""The rows that a threshold removes, in arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.select.survivors import last_of_chain
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, paired_similarity


@dataclass(frozen=True)
class Removals:
    """The r rows that are removed, each beside its neighbor and its survivor.

    Attributes
    ----------
    row
        (r,) int64. Positions among the rows that have a vector.
    neighbor
        (r,) int64. The most similar row before each, among the same rows or those of a reference.
    survivor
        (r,) int64. The kept row that stands for each, among the same as ``neighbor``.
    similarity
        (r,) float32. Cosine similarity to the neighbor.
    to_survivor
        (r,) float32. Cosine similarity to the survivor.
    """

    row: IndexArray
    neighbor: IndexArray
    survivor: IndexArray
    similarity: npt.NDArray[np.float32]
    to_survivor: npt.NDArray[np.float32]


def removals(
    kept: npt.NDArray[np.bool_],
    neighbor: IndexArray,
    similarity: npt.NDArray[np.float32],
    X: FloatArray,
    others: FloatArray | None,
) -> Removals:
    """Find for each removed row the row that stands for it.

    Parameters
    ----------
    kept
        (m,) bool. Whether a row stays.
    neighbor
        (m,) int64. The most similar row before each, -1 for none.
    similarity
        (m,) float32. Cosine similarity to it.
    X
        (m, d) float32. Unit vectors of the rows.
    others
        With a reference, its unit vectors; neighbors are its rows. ``None``: they are these rows.

    Returns
    -------
    Removals
        The rows that do not stay. Their survivors are where their neighbors lead.

    References
    ----------
    SemDeDup, Abbas et al. 2023, arXiv:2303.09540.
    """
    gone = np.flatnonzero(~kept)
    ends = neighbor if others is not None else last_of_chain(np.where(kept, -1, neighbor))
    survivor = ends[gone]
    direct = paired_similarity(X[gone], (X if others is None else others)[survivor])
    return Removals(gone, neighbor[gone], survivor, similarity[gone], direct)
