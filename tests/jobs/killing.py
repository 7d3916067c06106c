"""A process that dies after one of its commits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyspark.sql import DataFrameWriter


class Killed(BaseException):
    """Nothing catches it."""


@contextmanager
def killed_after(dies: Callable[[str, dict[str, Any]], bool]) -> Iterator[None]:
    """Die after the first commit of which ``dies(table, mark)`` is true; ``mark``: the commit's
    user metadata.
    """
    option, save = DataFrameWriter.option, DataFrameWriter.save
    marks: dict[int, dict[str, Any]] = {}

    def noting(writer, key, value):
        if key == "userMetadata":
            marks[id(writer)] = json.loads(value)
        return option(writer, key, value)

    def deadly(writer, path=None, **settings):
        save(writer, path, **settings)
        if dies(str(path).rsplit("/", 1)[-1], marks.pop(id(writer), {})):
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DataFrameWriter, "option", noting)
        patched.setattr(DataFrameWriter, "save", deadly)
        yield
