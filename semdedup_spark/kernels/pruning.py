"""Exact recall for less: pairs of a visitor and a member that cannot be above the horizon.

Let x (cluster a) visit cluster b, and y be a member of b, with a cosine of at least 1 - eps_max.
Their distances to the border between a and b add up to at most ||x - y|| <= sqrt(2 eps_max), as in
:mod:`semdedup_spark.kernels.probing`. So x need only meet the members that are near enough to the
border with a: on text embeddings 5 to 30 % of them. (Angles to the centroid, which bound the same
cosine, leave 35 to 65 %.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.kmeans import LabelArray
from semdedup_spark.kernels.probing import PRODUCT_NOISE, centroid_gaps, margin
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, paired_similarity

# Pairs (visitors of one cluster x members) below which looking costs more than it saves.
_WORTH_LOOKING = 1 << 14
# Visitors that share one look at the members: the nearest to the border decides for all.
_TOGETHER = 64


@dataclass(frozen=True)
class Meeting:
    """Positions of ``visitors`` and of the ``members`` that each of them must be compared with."""

    visitors: IndexArray
    members: IndexArray


@dataclass(frozen=True)
class BorderPruning:
    """``centroids``: (k, d) float32, unit rows; ``eps_max``: the horizon."""

    centroids: FloatArray
    eps_max: float

    def meetings(
        self, members: FloatArray, cluster: int, visitors: FloatArray, homes: LabelArray
    ) -> Iterator[Meeting]:
        """Meetings that leave out no pair above the horizon. Every visitor is in at most one.

        ``members``: (n, d), rows of ``cluster``; ``visitors``: (m, d), rows of other clusters,
        ``homes``: (m,) theirs. Float32, unit rows.
        """
        order = np.argsort(homes, kind="stable")
        present, starts = np.unique(homes[order], return_index=True)
        groups = np.split(order, starts[1:])
        few = np.array([len(group) * len(members) < _WORTH_LOOKING for group in groups])
        few |= present == cluster
        everyone = [group for group, all_of in zip(groups, few, strict=True) if all_of]
        if everyone:
            yield Meeting(np.sort(np.concatenate(everyone)), np.arange(len(members)))
        looked = np.flatnonzero(~few)
        if len(looked) == 0:
            return
        own = members @ self.centroids[cluster]
        leads = own[:, None] - members @ self.centroids[present[looked]].T
        for column, group in enumerate(looked):
            yield from self._of_one_home(
                leads[:, column], cluster, visitors, groups[group], int(present[group])
            )

    def _of_one_home(
        self, leads: FloatArray, cluster: int, visitors: FloatArray, group: IndexArray, home: int
    ) -> Iterator[Meeting]:
        """``leads``: (n,) how much nearer each member is to ``cluster`` than to ``home``."""
        to_home, to_cluster = self.centroids[[home]], self.centroids[[cluster]]
        gap = centroid_gaps(to_home, to_cluster)[0, 0]
        X = visitors[group]
        lead = paired_similarity(X, to_home) - paired_similarity(X, to_cluster)
        distance = np.maximum(lead - PRODUCT_NOISE, 0) / gap
        nearest_first = np.argsort(distance, kind="stable")
        for start in range(0, len(group), _TOGETHER):
            some = nearest_first[start : start + _TOGETHER]
            left = 2 * margin(self.eps_max) - distance[some[0]]
            members = np.flatnonzero(leads - PRODUCT_NOISE <= left * gap)
            if len(members):
                yield Meeting(np.sort(group[some]), members)
