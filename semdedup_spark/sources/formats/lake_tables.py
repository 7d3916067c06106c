"""Refuse data files that belong to a Delta, Hudi or Iceberg table.

Such a folder may hold deleted and replaced rows. Only the table's log says which files count.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

from pyspark.sql import SparkSession

from semdedup_spark.errors import SourceError
from semdedup_spark.paths import local

# Glob patterns, relative to a table's folder, that identify its format.
_SIGNS = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata/*.metadata.json": "Iceberg"}
_FOLDERS_AT_ONCE = 200
_PREFIX = re.compile(r"[^/]*:(?://[^/]*)?")
_SPECIAL = re.compile(r"([\\{}\[\]*?,])")
_HINTS = {
    "Delta": "set source.format to delta, which omits deleted rows; to read only some partitions, "
    "create a view and name it in source.table.",
    "Hudi": "name the table in source.table, with a session and a catalog that support Hudi.",
    "Iceberg": "name the table in source.table, with a session and a catalog that support Iceberg.",
}


def refuse_files_of_tables(spark: SparkSession, files: Sequence[str], key: str) -> None:
    """Refuse files whose folder, or a folder above it, is a Delta, Hudi or Iceberg table.

    Links on this machine are followed.

    Parameters
    ----------
    spark
        The session that lists folders outside of this machine's file system.
    files
        Percent-encoded URIs, as ``DataFrame.inputFiles`` returns them.
    key
        The configuration key that named the files, for the message.

    Raises
    ------
    SourceError
        If there is such a table. The hint says how to read it.
    """
    for prefix, folders in _levels(files):
        here = os.path.isdir(local(prefix + folders[0]) or "")
        found = _table_here(prefix, folders) if here else _table_there(spark, prefix, folders)
        if found is not None:
            folder, kind = found
            raise SourceError(
                f"{key} must name files that belong to no table. Got files of the {kind} table "
                f"{folder}, which still hold rows that the table has deleted or replaced.",
                hint=_HINTS[kind],
            )


def _levels(files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """All folders above the files, grouped by depth from the root down: the URI's scheme and
    authority, and the paths of that depth.
    """
    levels: dict[tuple[int, str], set[str]] = {}
    paths = {unquote(file) for file in files}
    for folder in {path.rpartition("/")[0] for path in paths | set(_link_targets(paths))}:
        prefix = _PREFIX.match(folder)
        before = prefix[0] if prefix else ""
        parts = PurePosixPath(folder[len(before) :]).parts
        for depth in range(1, len(parts) + 1):
            levels.setdefault((depth, before), set()).add(str(PurePosixPath(*parts[:depth])))
    for (_, before), paths in sorted(levels.items()):
        yield before, sorted(paths)


def _link_targets(paths: set[str]) -> Iterator[str]:
    """Where files on this machine lie that are reached through links: a table may be there too."""
    places = {place for path in paths if (place := local(path)) is not None}
    yield from (f"file:{os.path.realpath(place)}" for place in places if os.path.islink(place))
    for folder in {os.path.dirname(place) for place in places}:
        target = os.path.realpath(folder)
        if target != folder:
            yield f"file:{target}/"


def _table_here(prefix: str, folders: list[str]) -> tuple[str, str] | None:
    for folder in folders:
        place = local(prefix + folder) or ""
        for sign, kind in _SIGNS.items():
            if glob.glob(os.path.join(glob.escape(place), sign)):
                return place, kind
    return None


def _table_there(spark: SparkSession, prefix: str, folders: list[str]) -> tuple[str, str] | None:
    """Look through Spark's file systems, because only they are sure to have the credentials."""
    signs = ",".join(_SIGNS)
    for first in range(0, len(folders), _FOLDERS_AT_ONCE):
        paths = (_SPECIAL.sub(r"\\\1", path[1:]) for path in folders[first:][:_FOLDERS_AT_ONCE])
        inside = "" if folders == ["/"] else f"{{{','.join(paths)}}}/"
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
        try:
            seen = files.load(f"{prefix}/{inside}{{{signs}}}").inputFiles()
        except Exception:  # no match, or no permission to list a folder that others own
            continue
        for file in map(unquote, seen):
            for sign, kind in _SIGNS.items():
                folder, found, _ = file.rpartition(f"/{sign.partition('/')[0]}/")
                if found:
                    return folder, kind
    return None
