import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semdedup_spark.kernels.vectors import (
    NON_FINITE,
    ZERO,
    first_of_equal_rows,
    hash_rows,
    pack,
    paired_similarity,
    unit_rows,
    unpack,
)


def test_unit_rows_by_hand():
    unit = unit_rows([[3.0, 4.0], [0.0, -2.0]])
    np.testing.assert_allclose(unit.X, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-7)
    assert unit.reasons == [None, None]
    assert unit.X.dtype == np.float32


def test_rows_without_a_direction_get_a_reason_and_the_others_stay():
    unit = unit_rows([[np.nan, 1.0], [0.0, 0.0], [np.inf, 0.0], [1.0, 0.0]])
    assert unit.reasons == [NON_FINITE, ZERO, NON_FINITE, None]
    np.testing.assert_array_equal(unit.X, [[0, 0], [0, 0], [0, 0], [1, 0]])


@pytest.mark.parametrize("size", [1e300, 1e25, 1e-9, 1e-13, 1e-300, 2e-323])
def test_a_vector_of_any_size_has_its_direction(size):
    unit = unit_rows(np.array([[3 * size, 4 * size], [0, -size]]))
    np.testing.assert_allclose(unit.X, [[0.6, 0.8], [0, -1]], rtol=0.2 if size < 1e-320 else 1e-6)
    assert unit.reasons == [None, None]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_subnormal_numbers_have_a_direction_too(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    unit = unit_rows(np.array([[3 * tiny, 4 * tiny], [0, tiny]], dtype))
    np.testing.assert_allclose(unit.X, [[0.6, 0.8], [0, 1]], rtol=1e-6)


def test_what_is_no_real_number_is_refused():
    for X in (np.array([["1", "2"]]), np.array([[1j, 2]])):
        with pytest.raises(ValueError, match="real numbers"):
            unit_rows(X)


def test_negative_zero_becomes_zero_so_that_equal_vectors_have_equal_bytes():
    X = unit_rows([[1.0, -0.0], [1.0, 0.0]]).X
    assert X[0].tobytes() == X[1].tobytes()


def test_a_one_dimensional_array_is_refused_with_its_shape():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        unit_rows([1.0, 2.0, 3.0])


@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_a_row_is_normalised_alike_in_any_company(n, d, seed):
    X = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    together = unit_rows(X).X
    for row in range(n):
        np.testing.assert_array_equal(unit_rows(X[row : row + 1]).X[0], together[row])


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(0, 20), st.integers(1, 5)),
        elements=st.sampled_from([0.0, 0.5, 1.0]),
    )
)
def test_first_of_equal_rows_matches_a_plain_search(X):
    first = first_of_equal_rows(X, hash_rows(X))
    for j in range(len(X)):
        assert first[j] == next(i for i in range(j + 1) if (X[i] == X[j]).all())


def test_a_hash_collision_never_merges_different_vectors():
    X = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=np.float32)
    same_hash = np.zeros(4, dtype=np.uint64)
    np.testing.assert_array_equal(first_of_equal_rows(X, same_hash), [0, 1, 0, 1])


def test_hashes_tell_short_numbers_apart():
    assert len(set(hash_rows(np.eye(64, dtype=np.float32)).tolist())) == 64


def test_pack_and_unpack_are_inverse():
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(unpack(pack(X), 3), X)


def test_paired_similarity_is_clipped_to_one():
    A = np.full((1, 3), 0.57735032, dtype=np.float32)
    assert paired_similarity(A, A)[0] <= 1.0
