import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.similarity import (
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
    best = max_earlier_similarity(X)
    expected = [0.0, 0.5, np.cos(np.deg2rad(30)), np.cos(np.deg2rad(10))]
    np.testing.assert_allclose(best.max_similarity, expected, atol=1e-6)
    assert best.neighbor.tolist() == [-1, 0, 1, 2]


def test_opposite_rows_have_no_neighbor():
    best = max_earlier_similarity(np.array([[1, 0], [-1, 0]], dtype=np.float32))
    assert best.max_similarity.tolist() == [0, 0]
    assert best.neighbor.tolist() == [-1, -1]


def test_of_equal_similarities_the_earliest_row_is_the_neighbor():
    X = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    X = np.vstack([X, unit_rows([[1.0, 1.0, 1.0]]).X])
    for block in (1, 2, 3, 4):
        assert max_earlier_similarity(X, block=block).neighbor[3] == 0


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    best = max_earlier_similarity(np.ones((n, 1), dtype=np.float32))
    assert best.max_similarity.tolist() == [0.0] * n


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6), st.integers(1, 31))
def test_equals_brute_force_for_every_block_size(seed, n, d, block):
    X = random_rows(seed, n, d)
    best = max_earlier_similarity(X, block=block)
    M, _ = brute_force(X)
    np.testing.assert_allclose(best.max_similarity, M, atol=2e-6)
    for j in range(n):
        if best.neighbor[j] >= 0:
            assert best.neighbor[j] < j
            np.testing.assert_allclose(X[best.neighbor[j]] @ X[j], M[j], atol=2e-6)


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
    best = max_earlier_similarity(X, above=0.9)
    assert best.neighbor.tolist() == [-1, -1, -1, 2]
    assert best.max_similarity.tolist()[:3] == [0, 0, 0]
