"""Between Arrow lists and matrices nothing moves, whatever the layout of the column."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from semdedup_spark.transforms import arrow
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


def test_finders_of_zips_are_dropped_and_their_modules_are_still_found(
    begin, tmp_path, monkeypatch
):
    import importlib
    import sys
    import zipfile
    import zipimport

    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("module_in_a_zip.py", "x = 1")
        archive.writestr("another_in_a_zip.py", "x = 2")
    monkeypatch.syspath_prepend(str(path))
    assert importlib.import_module("module_in_a_zip").x == 1
    assert isinstance(sys.path_importer_cache[str(path)], zipimport.zipimporter)
    begin(7)
    assert str(path) not in sys.path_importer_cache
    assert importlib.import_module("another_in_a_zip").x == 2


def test_only_what_the_first_task_leaves_is_kept_from_the_collector(begin, monkeypatch):
    frozen = []
    monkeypatch.setattr(arrow.gc, "freeze", lambda: frozen.append(arrow._Worker.task))
    for task in (7, 7, 8, 8, 9, 9):
        begin(task)
    assert frozen == [8]


def test_a_process_that_does_not_work_for_spark_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(arrow.TaskContext, "get", lambda: None)
    monkeypatch.setattr(arrow, "_keep_zips_read", lambda: pytest.fail("it is not ours"))
    arrow.begin_task()


@pytest.fixture
def begin(monkeypatch):
    """What a new worker of Spark does at the beginning of a task."""
    monkeypatch.setattr(arrow._Worker, "task", -1)
    monkeypatch.setattr(arrow._Worker, "n_tasks", 0)

    def begin_in(task):
        context = SimpleNamespace(taskAttemptId=lambda: task)
        monkeypatch.setattr(arrow.TaskContext, "get", lambda: context)
        arrow.begin_task()

    return begin_in
