"""Brute force: the definitions of the design, written once more in the plainest way.

Tests compare the package with this. It holds everything in memory and is slow on purpose.
"""

from __future__ import annotations

import numpy as np


def brute_force(X, labels=None):
    """M and neighbor for rows in rank order, compared within equal labels, O(n^2) in float64.

    Exact duplicates follow docs/explanation/exact-recall.md, step 2: the first of the group stands
    for all.
    """
    n = len(X)
    labels = np.zeros(n, int) if labels is None else np.asarray(labels)
    wide = X.astype(np.float64)
    M, neighbor = np.zeros(n), np.full(n, -1)
    head = [
        next(i for i in range(j + 1) if labels[i] == labels[j] and (X[i] == X[j]).all())
        for j in range(n)
    ]
    for j in range(n):
        if head[j] != j:
            M[j], neighbor[j] = 1.0, head[j]
            continue
        for i in range(j):
            if labels[i] == labels[j] and head[i] == i:
                similarity = min(float(wide[i] @ wide[j]), 1.0)
                if similarity > M[j]:
                    M[j], neighbor[j] = similarity, i
    return M, neighbor


def kept_by_m(M, eps):
    return {j for j in range(len(M)) if not M[j] > 1 - eps}


def kept_greedily(X, labels, eps):
    """A row goes only if a row that is kept is above the threshold."""
    kept: list[int] = []
    for j in range(len(X)):
        rivals = [i for i in kept if labels[i] == labels[j]]
        if not any(X[i].astype(np.float64) @ X[j].astype(np.float64) > 1 - eps for i in rivals):
            kept.append(j)
    return set(kept)


def kept_by_components(X, labels, eps):
    """The first row of each connected component of the similarity graph."""
    n = len(X)
    component = list(range(n))
    for j in range(n):
        for i in range(j):
            if (
                labels[i] == labels[j]
                and X[i].astype(np.float64) @ X[j].astype(np.float64) > 1 - eps
            ):
                old, new = max(component[i], component[j]), min(component[i], component[j])
                component = [new if c == old else c for c in component]
    return {component.index(c) for c in set(component)}


def survivor(j, neighbor, M, eps):
    """Follow neighbors until a kept row is reached."""
    while M[j] > 1 - eps:
        j = neighbor[j]
    return j


def away_from_edge(M, eps, margin=1e-5):
    """Whether no score is so close to the threshold that rounding could decide."""
    return not np.any(np.abs(M - (1 - eps)) < margin)
