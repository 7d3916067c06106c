"""What a Python worker of Spark is spared, and only there."""

from __future__ import annotations

import importlib
import sys
import zipfile
import zipimport
from types import SimpleNamespace

import pytest

from semdedup_spark.transforms import worker


def test_finders_of_zips_are_dropped_and_their_modules_are_still_found(
    begin, tmp_path, monkeypatch
):
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
    monkeypatch.setattr(worker.gc, "freeze", lambda: frozen.append(worker.TasksBegun.task))
    for task in (7, 7, 8, 8, 9, 9):
        begin(task)
    assert frozen == [8]


def test_a_process_that_does_not_work_for_spark_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(worker.TaskContext, "get", lambda: None)
    finder = object.__new__(zipimport.zipimporter)
    monkeypatch.setitem(sys.path_importer_cache, "no.zip", finder)
    worker.begin_task()
    assert sys.path_importer_cache["no.zip"] is finder


@pytest.fixture
def begin(monkeypatch):
    """What a new worker of Spark does at the beginning of a task."""
    monkeypatch.setattr(worker.TasksBegun, "task", -1)
    monkeypatch.setattr(worker.TasksBegun, "n_tasks", 0)

    def begin_in(task):
        context = SimpleNamespace(taskAttemptId=lambda: task)
        monkeypatch.setattr(worker.TaskContext, "get", lambda: context)
        worker.begin_task()

    return begin_in
