"""Between Arrow lists and matrices nothing moves, whatever the layout of the column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from semdedup_spark.transforms.arrow import to_lists, to_matrix

LISTS = pa.list_(pa.float32())
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [-1.0, 0.5, 0.0]]


@pytest.mark.parametrize("kind", [LISTS, pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)])
def test_lists_become_rows(kind):
    X = to_matrix(pa.array(ROWS, kind))
    assert X.dtype == np.float32
    assert X.tolist() == ROWS


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_bytes_of_float32_become_rows(kind):
    column = pa.array([b"12", *(np.array(row, "<f4").tobytes() for row in ROWS)], kind)[1:]
    assert to_matrix(column).tolist() == ROWS  # at an odd place in memory, too
    assert to_matrix(column[1:3]).tolist() == ROWS[1:3]


def test_doubles_become_float32():
    X = to_matrix(pa.array([[0.1, 0.2]], pa.list_(pa.float64())))
    assert X.dtype == np.float32
    assert X.tolist() == np.array([[0.1, 0.2]], dtype=np.float32).tolist()


@pytest.mark.parametrize("kind", [LISTS, pa.list_(pa.float32(), 3)])
def test_a_slice_holds_its_own_rows_only(kind):
    column = pa.array(ROWS, kind)
    assert to_matrix(column[1:3]).tolist() == ROWS[1:3]
    assert to_matrix(column[3:]).tolist() == ROWS[3:]


def test_chunks_follow_each_other():
    chunks = pa.chunked_array([pa.array(ROWS[:1], LISTS), pa.array(ROWS[1:], LISTS)])
    assert to_matrix(chunks).tolist() == ROWS
    assert to_matrix(chunks.slice(1, 2)).tolist() == ROWS[1:3]


def test_a_null_entry_becomes_nan():
    X = to_matrix(pa.array([[1.0, None], [None, 4.0]], LISTS))
    np.testing.assert_array_equal(X, np.array([[1, np.nan], [np.nan, 4]], dtype=np.float32))


def test_rows_become_lists_and_come_back():
    X = np.array(ROWS, dtype=np.float32)
    column = to_lists(X)
    column.validate(full=True)
    assert column.type.value_type == pa.float32()
    assert column.to_pylist() == ROWS
    assert np.array_equal(to_matrix(column), X)


def test_missing_rows_are_null_and_the_others_stay_in_place():
    column = to_lists(np.array(ROWS, dtype=np.float32), np.array([False, True, False, True]))
    column.validate(full=True)
    assert column.to_pylist() == [ROWS[0], None, ROWS[2], None]


def test_a_matrix_in_column_order_or_of_doubles_is_stored_by_rows():
    X = np.asfortranarray(np.array(ROWS))
    assert to_lists(X).to_pylist() == ROWS
    assert to_lists(X[::2]).to_pylist() == ROWS[::2]
    assert to_lists(X[:, :2]).to_pylist() == [row[:2] for row in ROWS]


@pytest.mark.parametrize(("n", "d"), [(0, 3), (0, 0), (2, 0)])
def test_nothing_makes_valid_lists(n, d):
    column = to_lists(np.zeros((n, d), dtype=np.float32), np.ones(n, dtype=bool))
    column.validate(full=True)
    assert column.to_pylist() == [None] * n
    assert column.type.value_type == pa.float32()
