"""A folder that is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semdedup_spark.errors import SourceError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target`` to fill, which takes its name when all went well.

    Raises :class:`SourceError` where ``target`` is there already: exports are not mixed.
    """
    if target.exists():
        raise SourceError(
            f"the folder to export to must not exist yet. {target} does.",
            hint="remove it, or name another.",
        )
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    unfinished.replace(target)
