"""A look at some rows of files, without Spark, to write a first job file for them."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.errors import SourceError

_ROWS = 200
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".npy": "npy",
    ".tar": "webdataset",
    **dict.fromkeys(_IMAGES, "files"),
}
_LIKE_A_KEY = re.compile(r"(^|_)(id|key|uuid|guid|doc|name|path|url|uri)$", re.IGNORECASE)
_FEWEST_NUMBERS = 8
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")


@dataclass(frozen=True)
class FirstLook:
    """What a job file may say of a source.

    Attributes
    ----------
    kind
        ``text``, ``images`` or ``vectors``.
    format
        As ``source.format`` has it.
    path
        What ``source.path`` should say.
    id
        The column of the keys; ``content_hash()`` where none has a value of its own in each row;
        ``None`` where the format brings the keys.
    content
        The column that is compared; ``None`` where the format brings it.
    columns
        Names of all columns that were seen.
    """

    kind: str
    format: str
    path: str
    id: str | None = None
    content: str | None = None
    columns: tuple[str, ...] = ()


def first_look(place: str) -> FirstLook:
    """Look at a file or a folder.

    Parameters
    ----------
    place
        A file, a folder, or a pattern such as ``corpus/*.jsonl.gz``, on this machine.

    Returns
    -------
    FirstLook
        A guess; a person must look at it.

    Raises
    ------
    SourceError
        There is nothing, or nothing that a job can read.
    """
    path = Path(place)
    if path.is_dir():
        return _folder(path, place)
    few = [Path(file) for file in sorted(glob(place, recursive=True))] or [path]
    if not few[0].is_file():
        raise SourceError(f"there must be a file or a folder at {place!r}. There is none.")
    form = _form_of(few[0])
    if form is None:
        raise SourceError(
            f"files must be .jsonl, .csv, .parquet, .npy, .tar or images. Got {few[0].name!r}.",
            hint="docs/how-to/sources.md shows one example of each format.",
        )
    return _file(form, few[0], place)


def _form_of(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def _folder(path: Path, place: str) -> FirstLook:
    if (path / "_delta_log").is_dir():
        files = sorted(path.rglob("*.parquet"))
        return _file("delta", files[0] if files else None, place)
    inside = (file for file in path.rglob("*") if file.is_file() and file.name[0] not in "._")
    for file in itertools.islice(inside, 1000):
        form = _form_of(file)
        if form is not None:
            return _file(form, file, place)
    raise SourceError(f"{place!r} must hold files that a job can read. It holds none.")


def _file(form: str, file: Path | None, place: str) -> FirstLook:
    if form == "npy":
        return FirstLook("vectors", form, place)
    if form in ("files", "webdataset"):
        return FirstLook("images", form, place)
    table = pa.table({}) if file is None else _few_rows(form, file)
    kind, content = _content(table)
    return FirstLook(kind, form, place, _key(table, content), content, tuple(table.column_names))


def _few_rows(form: str, file: Path) -> pa.Table:
    if form in ("parquet", "delta"):
        opened = pq.ParquetFile(file)
        first = list(itertools.islice(opened.iter_batches(_ROWS), 1))
        return pa.Table.from_batches(first, opened.schema_arrow)
    with _opened(file) as lines:
        if form == "csv":
            return pa.Table.from_pylist(list(itertools.islice(csv.DictReader(lines), _ROWS)))
        return pa.Table.from_pylist(list(itertools.islice(_documents(lines), _ROWS)))


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    packed = file.suffix.lower() == ".gz"
    opened = gzip.open if packed else open
    with opened(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as lines:
        yield lines


def _documents(lines: TextIO) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue  # the job quarantines it
        if isinstance(found, dict):
            yield found


def _content(table: pa.Table) -> tuple[str, str | None]:
    """(kind, column): vectors where there are some, else pictures, else the texts of most words."""
    most, chosen = (0.0, 0.0), None
    for name in table.column_names:
        values = [value for value in table[name].to_pylist() if value is not None]
        if _are_vectors(values):
            return "vectors", name
        if values and all(isinstance(v, bytes) and v.startswith(_MAGIC) for v in values):
            return "images", name
        if values and all(isinstance(value, str) for value in values):
            words, letters = sum(len(v.split()) for v in values), sum(map(len, values))
            size = words / len(values), letters / len(values)
            if size > most:
                most, chosen = size, name
    return "text", chosen


def _are_vectors(values: list[Any]) -> bool:
    if not values or not all(isinstance(value, list) for value in values):
        return False
    lengths = {len(value) for value in values}
    numbers = all(isinstance(number, float) for number in values[0])
    return len(lengths) == 1 and min(lengths) >= _FEWEST_NUMBERS and numbers


def _key(table: pa.Table, content: str | None) -> str:
    own: list[str] = []
    for name in table.column_names:
        values = table[name].to_pylist()
        plain = all(isinstance(value, (str, int)) and value != "" for value in values)
        if name != content and plain and len(set(values)) == len(values):
            own.append(name)
    named = [name for name in own if _LIKE_A_KEY.search(name)]
    return (named or own or ["content_hash()"])[0]
