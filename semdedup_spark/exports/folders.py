"""Folders that appear only when they are complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semdedup_spark.errors import SourceError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill an empty folder beside ``target`` and rename it to ``target`` on success.

    Parameters
    ----------
    target
        Final path of the folder. It must not exist, so that two exports are never mixed.

    Yields
    ------
    Path
        The empty folder to fill. If the body raises, ``target`` is not created.

    Raises
    ------
    SourceError
        If ``target`` exists.
    """
    if target.exists():
        raise SourceError(
            f"the folder to export to must not exist yet. {target} exists.",
            hint="remove it, or name another folder.",
        )
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    unfinished.replace(target)
