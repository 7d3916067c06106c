from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.score import running_max
from semdedup_spark.kernels.score.similarity import (
    max_earlier_similarity,
    max_earlier_similarity_across,
)
from semdedup_spark.kernels.vectors import unit_rows
from tests.oracle import brute_force


def random_rows(seed, n, d, near=0.3):
    """Unit rows among which many are close to each other."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    copies = rng.random(n) < 0.5
    X[copies] = X[rng.integers(0, max(n, 1), copies.sum())] + near * rng.standard_normal(
        (copies.sum(), d)
    )
    return unit_rows(X).X


def test_four_points_by_hand():
    # 0, 60, 90 and 100 degrees: cos 60 = 0.5, cos 30, cos 10
    angles = np.deg2rad([0, 60, 90, 100])
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    scores = max_earlier_similarity(X)
    expected = [0.0, 0.5, np.cos(np.deg2rad(30)), np.cos(np.deg2rad(10))]
    np.testing.assert_allclose(scores.max_similarity, expected, atol=1e-6)
    assert scores.neighbor.tolist() == [-1, 0, 1, 2]


def test_opposite_rows_have_no_neighbor():
    scores = max_earlier_similarity(np.array([[1, 0], [-1, 0]], dtype=np.float32))
    assert scores.max_similarity.tolist() == [0, 0]
    assert scores.neighbor.tolist() == [-1, -1]


def test_of_equal_similarities_the_earliest_row_is_the_neighbor():
    X = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    X = np.vstack([X, unit_rows([[1.0, 1.0, 1.0]]).X])
    for block in (1, 2, 3, 4):
        assert max_earlier_similarity(X, block=block).neighbor[3] == 0


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    scores = max_earlier_similarity(np.ones((n, 1), dtype=np.float32))
    assert scores.max_similarity.tolist() == [0.0] * n


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6), st.integers(1, 31))
def test_equals_brute_force_for_every_block_size(seed, n, d, block):
    X = random_rows(seed, n, d)
    scores = max_earlier_similarity(X, block=block)
    M, _ = brute_force(X)
    np.testing.assert_allclose(scores.max_similarity, M, atol=2e-6)
    for j in range(n):
        if scores.neighbor[j] >= 0:
            assert scores.neighbor[j] < j
            np.testing.assert_allclose(X[scores.neighbor[j]] @ X[j], M[j], atol=2e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 25), st.integers(1, 9))
def test_two_slots_and_each_slot_alone_together_equal_the_whole(seed, n, m, block):
    X = random_rows(seed, n + m, 3)
    rng = np.random.default_rng(seed)
    in_a = np.zeros(n + m, dtype=bool)
    in_a[rng.permutation(n + m)[:n]] = True
    a, b = np.flatnonzero(in_a), np.flatnonzero(~in_a)
    of_a, of_b = max_earlier_similarity_across(X[a], a, X[b], b, block=block)
    M = np.zeros(n + m)
    M[a] = np.maximum(max_earlier_similarity(X[a]).max_similarity, of_a.max_similarity)
    M[b] = np.maximum(max_earlier_similarity(X[b]).max_similarity, of_b.max_similarity)
    np.testing.assert_allclose(M, brute_force(X)[0], atol=2e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 20), st.sampled_from([0, 0.9]))
def test_torch_tensors_give_what_numpy_arrays_give(seed, n, m, above):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X = random_rows(seed, n + m, 5)
    rank = np.random.default_rng(seed).permutation(n + m)
    a, b = np.sort(rank[:n]), np.sort(rank[n:])
    ours = [
        max_earlier_similarity(X, above=above, block=7, panel=5),
        *max_earlier_similarity_across(X[a], a, X[b], b, above=above, block=7, panel=5),
    ]
    T = torch.from_numpy(X)
    theirs = [
        max_earlier_similarity(T, above=above, block=7, panel=5),
        *max_earlier_similarity_across(T[a], a, T[b], b, above=above, block=7, panel=5),
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(other.max_similarity, np.ndarray)
        np.testing.assert_allclose(one.max_similarity, other.max_similarity, atol=2e-6)
        differ = one.neighbor != other.neighbor  # only where two neighbors are equally near
        np.testing.assert_allclose(
            one.max_similarity[differ], other.max_similarity[differ], atol=2e-6
        )
        assert ((one.neighbor == -1) == (other.neighbor == -1)).all()


def test_similarities_up_to_the_horizon_count_as_none():
    angles = np.deg2rad([0, 60, 90, 100])
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    scores = max_earlier_similarity(X, above=0.9)
    assert scores.neighbor.tolist() == [-1, -1, -1, 2]
    assert scores.max_similarity.tolist()[:3] == [0, 0, 0]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.integers(1, 20),
    st.sampled_from([0, 0.9]),
    st.sampled_from([0.0005, 0.1, 1.0]),
    st.sampled_from([0, 2, 1000]),
)
def test_float16_products_that_are_settled_give_the_float32_scores(seed, n, m, above, near, many):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X = random_rows(seed, n + m, 5, near=near)
    rank = np.random.default_rng(seed).permutation(n + m)
    a, b = np.sort(rank[:n]), np.sort(rank[n:])
    H = torch.from_numpy(X).half()
    with patch.object(running_max, "MANY", many):
        half = [
            max_earlier_similarity(H, above=above, exact=X, block=7, panel=5),
            *max_earlier_similarity_across(
                H[a], a, H[b], b, above=above, exact=(X[a], X[b]), block=7, panel=5
            ),
        ]
    full = [
        max_earlier_similarity(X, above=above, block=7, panel=5),
        *max_earlier_similarity_across(X[a], a, X[b], b, above=above, block=7, panel=5),
    ]
    for one, other in zip(half, full, strict=True):
        on_edge = np.maximum(one.max_similarity, other.max_similarity) < above + 2e-6
        np.testing.assert_allclose(
            one.max_similarity[~on_edge], other.max_similarity[~on_edge], atol=2e-6
        )
        assert ((one.neighbor == -1) == (other.neighbor == -1))[~on_edge].all()


def test_float16_alone_would_not_tell_near_duplicates_apart():
    rng = np.random.default_rng(0)
    row = unit_rows(rng.standard_normal((1, 384))).X
    X = unit_rows(row + 1e-4 * rng.standard_normal((200, 384))).X
    half = X.astype(np.float16).astype(np.float32)
    wrong = np.abs(half @ half.T - X @ X.T)
    assert 1e-4 < wrong.max() < running_max.HALF_NOISE
