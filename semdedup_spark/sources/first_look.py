"""A look at some rows of files, without Spark, to write a first job file for them."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.errors import SourceError

_ROWS = 200
_MOST_CHARACTERS = 2**26  # of a csv field; an unclosed quote would take a whole file into memory
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
_LARGEST_ID = 2**63 - 1  # Spark takes columns with larger whole numbers for decimals
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zlib.error, csv.Error, pa.ArrowException)
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")

Columns = dict[str, list[Any]]


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
    first = _matches(path, place)[0]
    if not first.is_file():
        raise SourceError(f"there must be a file or a folder at {place!r}. There is none.")
    form = _form_of(first)
    if form is None:
        raise SourceError(
            f"files must be .jsonl, .csv, .parquet, .npy, .tar or images. Got {first.name!r}.",
            hint="docs/how-to/sources.md shows one example of each format.",
        )
    return _file(form, first, place)


def _matches(path: Path, place: str) -> list[Path]:
    """Files of the pattern; hidden ones only where there are no others."""
    found = [file for file in map(Path, sorted(glob(place, recursive=True))) if file.is_file()]
    n = len(list(itertools.takewhile(lambda part: not has_magic(part), path.parts)))
    return [file for file in found if not _is_hidden(file.parts[n:])] or found or [path]


def _is_hidden(parts: Iterable[str]) -> bool:
    """Spark's rule: it reads neither a table's log nor what is left of an unfinished write."""
    return any(p.startswith(".") or (p.startswith("_") and "=" not in p) for p in parts)


def _form_of(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() != ".gz"]
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def _folder(path: Path, place: str) -> FirstLook:
    inside = (file for file in path.rglob("*") if not _is_hidden(file.relative_to(path).parts))
    if (path / "_delta_log").is_dir():
        data = sorted(file for file in inside if file.suffix == ".parquet" and file.is_file())
        return _file("delta", data[0] if data else None, place)
    for file in itertools.islice((file for file in inside if file.is_file()), 1000):
        form = _form_of(file)
        if form is not None:
            return _file(form, file, place)
    raise SourceError(f"{place!r} must hold files that a job can read. It holds none.")


def _file(form: str, file: Path | None, place: str) -> FirstLook:
    if form == "npy":
        return FirstLook("vectors", form, place)
    if form in ("files", "webdataset"):
        return FirstLook("images", form, place)
    columns: Columns = {}
    if file is not None:
        with _readable(file):
            columns = _few_rows(form, file)
        columns = {**_partitions(file, Path(place)), **columns}
    if form == "delta":
        columns = _as_logged(Path(place) / "_delta_log", columns)
    rows = max(map(len, columns.values()), default=0)
    columns = {name: values or [None] * rows for name, values in columns.items()}
    kind, content = _content(columns)
    return FirstLook(kind, form, place, _key(columns, content), content, tuple(columns))


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except _UNREADABLE as error:
        raise SourceError(
            f"a file must be what its name says, and readable. Got {str(file)!r}: {error}.",
            hint="replace it, or move it out of the folder; or give `semdedup init` another file.",
        ) from error


def _few_rows(form: str, file: Path) -> Columns:
    if form in ("parquet", "delta"):
        opened = pq.ParquetFile(file)
        names = _each_once(opened.schema_arrow.names, file)
        first = next(opened.iter_batches(_ROWS), None)
        return {n: [] if first is None else _values(first.column(i)) for i, n in enumerate(names)}
    with _opened(file) as lines:
        if form == "csv":
            return _of_csv(lines, file)
        documents = list(itertools.islice(_documents(lines), _ROWS))
    keys = dict.fromkeys(key for document in documents for key in document if key)
    return {key: [document.get(key) for document in documents] for key in keys}


def _each_once(names: list[str], file: Path) -> list[str]:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise SourceError(
            f"each column must have a name of its own. Got {twice[0]!r} twice in {str(file)!r}.",
            hint="rename one of them in the files.",
        )
    return names


def _values(column: pa.Array) -> list[Any]:
    """Its values; nulls where Python has no such values, such as a date after the year 9999."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        return [None] * len(column)


def _of_csv(lines: TextIO, file: Path) -> Columns:
    before = csv.field_size_limit(_MOST_CHARACTERS)
    try:
        rows = list(itertools.islice(filter(None, csv.reader(lines)), _ROWS + 1))
    finally:
        csv.field_size_limit(before)
    # Spark, too, names a column without a name by its place. What follows its last is no column.
    named = [name or f"_c{place}" for place, name in enumerate(rows[0] if rows else [])]
    names = _each_once(named, file)
    return {n: [r[i] if i < len(r) else None for r in rows[1:]] for i, n in enumerate(names)}


def _partitions(file: Path, folder: Path) -> Columns:
    """Columns whose values stand in names of folders, such as ``day=1``, and are not looked at."""
    inside = file.relative_to(folder).parts[:-1] if folder in file.parents else ()
    return {part.partition("=")[0]: [] for part in inside if "=" in part}


def _as_logged(log: Path, columns: Columns) -> Columns:
    """The columns of a Delta table: its files need hold neither their names nor all of them."""
    for file in sorted(log.iterdir(), reverse=True):
        with _readable(file):
            schema = _schema_in(file)
        if schema is not None:
            key = "delta.columnMapping.physicalName"
            names = {each["name"]: each["metadata"].get(key, each["name"]) for each in schema}
            return {name: columns.get(physical, []) for name, physical in names.items()}
    return columns


def _schema_in(file: Path) -> list[dict[str, Any]] | None:
    """The columns that a commit or a checkpoint sets; ``None`` if it sets none."""
    found: list[Any] = []
    if file.suffix == ".json" and not _is_hidden(file.parts[-1:]):
        with _opened(file) as lines:
            found = [action.get("metaData") for action in _documents(lines)]
    elif file.suffix == ".parquet" and ".checkpoint." in file.name:
        found = pq.read_table(file, columns=["metaData"])["metaData"].to_pylist()
    texts = [each["schemaString"] for each in found if each]
    fields: list[dict[str, Any]] | None = json.loads(texts[-1])["fields"] if texts else None
    return fields


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
        except (ValueError, RecursionError):
            continue  # the job quarantines it
        if isinstance(found, dict):
            yield found


def _content(columns: Columns) -> tuple[str, str | None]:
    """(kind, column): vectors where there are some, else pictures, else the texts of most words."""
    most, chosen = (0.0, 0.0), None
    for name, cells in columns.items():
        values = [value for value in cells if value is not None]
        if _are_vectors(values):
            return "vectors", name
        if values and all(isinstance(v, bytes) and v.startswith(_MAGIC) for v in values):
            return "images", name
        # Spark reads a JSON column that holds a text as texts, whatever else it holds.
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            words, letters = sum(len(v.split()) for v in texts), sum(map(len, texts))
            size = words / len(values), letters / len(values)
            if size > most:
                most, chosen = size, name
    return "text", chosen


def _are_vectors(values: list[Any]) -> bool:
    if not values or not all(isinstance(value, list) for value in values):
        return False
    if len({len(value) for value in values}) > 1 or len(values[0]) < _FEWEST_NUMBERS:
        return False
    kinds = {type(number) for value in values for number in value if number is not None}
    return float in kinds and kinds <= {float, int}  # JSON may write 0 for 0.0


def _key(columns: Columns, content: str | None) -> str:
    own = [name for name in columns if name != content and _tell_rows_apart(columns[name])]
    named = [name for name in own if _LIKE_A_KEY.search(name)]
    return (named or own or ["content_hash()"])[0]


def _tell_rows_apart(values: list[Any]) -> bool:
    if not all(type(value) in (str, int) and value != "" for value in values):
        return False
    # A column of numbers and texts is one of texts for Spark: 1 and "1" are the same there.
    numbers = all(isinstance(value, int) for value in values)
    fits = not numbers or max(map(abs, values), default=0) <= _LARGEST_ID
    return fits and len({v if numbers else str(v) for v in values}) == len(values)
