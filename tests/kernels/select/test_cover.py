import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.select import cover
from semdedup_spark.kernels.select.cover import NOBODY, GreedyCover
from tests.kernels.score.test_unit import make
from tests.oracle import away_from_edge, brute_force, kept_by_m, kept_greedily

ABOVE = 0.8


def covered(X, sure, portions, block):
    greedy, parts, start = GreedyCover(ABOVE), [], 0
    for size in [*portions, len(X)]:
        rows = slice(start, min(start + size, len(X)))
        parts.append(greedy.offer(X[rows], sure[rows], block=block))
        start = rows.stop
    survivor = np.concatenate([p.survivor for p in parts])
    return survivor, np.concatenate([p.similarity for p in parts])


def decided_by_rounding(X):
    products = X.astype(float) @ X.astype(float).T
    return np.any(np.abs(products - ABOVE) < 1e-5)


@given(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4)),
    st.lists(st.integers(1, 20), max_size=4),
    st.integers(1, 9),
)
def test_rows_in_any_portions_are_kept_as_the_plain_greedy_keeps_them(instance, portions, block):
    X, _ = make(*instance, 1)
    if decided_by_rounding(X):
        return
    labels = np.zeros(len(X), int)
    survivor, similarity = covered(X, np.zeros(len(X), bool), portions, block)
    kept = kept_greedily(X, labels, 1 - ABOVE)
    assert set(np.flatnonzero(survivor == NOBODY)) == kept
    for j in np.flatnonzero(survivor != NOBODY):
        to_kept = {i: float(X[i].astype(float) @ X[j].astype(float)) for i in kept if i < j}
        assert survivor[j] in to_kept  # a kept row that ranks earlier, the most similar of them
        np.testing.assert_allclose(similarity[j], to_kept[survivor[j]], atol=2e-6)
        np.testing.assert_allclose(similarity[j], max(to_kept.values()), atol=2e-6)
        assert similarity[j] > ABOVE
    M, _ = brute_force(X)
    if away_from_edge(M, 1 - ABOVE):
        assert kept_by_m(M, 1 - ABOVE) <= kept


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 9))
def test_rows_that_stay_in_any_case_stay_and_cover_others(seed, n, block):
    X, _ = make(seed, n, 2, 1)
    if decided_by_rounding(X):
        return
    sure = np.random.default_rng(seed).random(n) < 0.3
    survivor, _ = covered(X, sure, [], block)
    assert (survivor[sure] == NOBODY).all()
    kept = []
    for j in range(n):
        if sure[j] or not any(X[i].astype(float) @ X[j].astype(float) > ABOVE for i in kept):
            kept.append(j)
    assert np.flatnonzero(survivor == NOBODY).tolist() == kept


def test_many_kept_rows_are_held_in_panels(monkeypatch):
    monkeypatch.setattr(cover, "PANEL_ROWS", 4)
    angle = np.arange(300) * 0.3  # every row covers the next two, and those one turn later
    X = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    survivor, _ = covered(X, np.zeros(300, bool), [7, 50], 16)
    assert set(np.flatnonzero(survivor == NOBODY)) == kept_greedily(X, np.zeros(300), 1 - ABOVE)
