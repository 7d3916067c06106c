"""Files that a table format keeps are not rows as they are: its log says which of them count."""

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

# What a table's own folder holds, beside or above the files of its rows.
_SIGNS = {"_delta_log": "Delta", ".hoodie": "Hudi", "metadata/*.metadata.json": "Iceberg"}
_FOLDERS_AT_ONCE = 200
_PREFIX = re.compile(r"[^/]*:(?://[^/]*)?")
_SPECIAL = re.compile(r"([\\{}\[\]*?,])")
_HINTS = {
    "Delta": "read it with source.format: delta, which knows what was deleted; for some of its "
    "partitions make a view, and name it in source.table.",
    "Hudi": "name it in source.table, by a catalog and a session that know Hudi.",
    "Iceberg": "name it in source.table, by a catalog and a session that know Iceberg.",
}


def refuse_files_of_tables(spark: SparkSession, files: Sequence[str], key: str) -> None:
    """Raise :class:`SourceError` if a folder of the files, or one above, is a Delta, Hudi or
    Iceberg table: deleted and replaced rows are still in such files.

    Parameters
    ----------
    spark : SparkSession
        Looks where this machine's file system cannot.
    files : sequence of str
        Percent-encoded URIs, as ``DataFrame.inputFiles`` has them.
    key : str
        The configuration key that named them.

    Raises
    ------
    SourceError
        Names the table, and how to read it.
    """
    for prefix, folders in _levels(files):
        here = os.path.isdir(local(prefix + folders[0]) or "")
        found = _table_here(prefix, folders) if here else _table_there(spark, prefix, folders)
        if found is not None:
            folder, kind = found
            raise SourceError(
                f"{key} must name files that belong to no table. {folder} is a table of {kind}, "
                "and of its files only the table knows which rows count: those that were deleted, "
                "or replaced, would come back.",
                hint=_HINTS[kind],
            )


def _levels(files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """All folders above the files, those of one depth together, near the root first: scheme and
    authority, and the paths.
    """
    levels: dict[tuple[int, str], set[str]] = {}
    for folder in {unquote(file).rpartition("/")[0] for file in files}:
        prefix = _PREFIX.match(folder)
        before = prefix[0] if prefix else ""
        parts = PurePosixPath(folder[len(before) :]).parts
        for depth in range(1, len(parts) + 1):
            levels.setdefault((depth, before), set()).add(str(PurePosixPath(*parts[:depth])))
    for (_, before), paths in sorted(levels.items()):
        yield before, sorted(paths)


def _table_here(prefix: str, folders: list[str]) -> tuple[str, str] | None:
    for folder in folders:
        place = local(prefix + folder) or ""
        for sign, kind in _SIGNS.items():
            if glob.glob(os.path.join(glob.escape(place), sign)):
                return place, kind
    return None


def _table_there(spark: SparkSession, prefix: str, folders: list[str]) -> tuple[str, str] | None:
    """As Spark's own file systems see it: only they are sure to have the credentials."""
    signs = ",".join(_SIGNS)
    for first in range(0, len(folders), _FOLDERS_AT_ONCE):
        paths = (_SPECIAL.sub(r"\\\1", path[1:]) for path in folders[first:][:_FOLDERS_AT_ONCE])
        inside = "" if folders == ["/"] else f"{{{','.join(paths)}}}/"
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
        try:
            seen = files.load(f"{prefix}/{inside}{{{signs}}}").inputFiles()
        except Exception:  # there is none, or it may not be looked into: then it is not this user's
            continue
        for file in map(unquote, seen):
            for sign, kind in _SIGNS.items():
                folder, found, _ = file.rpartition(f"/{sign.partition('/')[0]}/")
                if found:
                    return folder, kind
    return None
