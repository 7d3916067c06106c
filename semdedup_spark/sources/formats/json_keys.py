"""Checks of JSON records for content that Spark's JSON reader would lose without an error.

At any depth, the reader ignores a key whose case differs from the name in the schema. It also reads
only the first record of a line. A regular expression clears nearly all lines, and Python parses the
others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.csv_lines import is_wide
from semdedup_spark.sources.formats.folder import chosen_files, file_name

_MOST_SHOWN = 3
# With more names than this, a regular expression of all of them is slower than parsing.
_MOST_NAMES = 500
# Names of a type's fields. A struct is a dict by field name, an array or a map is a list of one
# entry (for its elements or values), and any other type is None.
Known = dict[str, "Known"] | list["Known"] | None
_BEHIND = "more than one record"


def check_json(spark: SparkSession, source: SourceConfig, columns: StructType) -> None:
    """Check JSON files for keys that differ from a column only in case, and for lost records.

    Files in UTF-16 or UTF-32 are not checked: Spark's text reader cannot split their lines.

    Parameters
    ----------
    spark
        The session that reads the lines.
    source
        A source of format jsonl.
    columns
        The schema with which Spark reads the records.

    Raises
    ------
    SourceError
        If a key differs from a field of ``columns`` only in case, or if a line (with multiLine, a
        file) holds a second record.
    """
    if is_wide(source):
        return
    whole = (source.option("multiLine") or source.option("wholeFile") or "").lower() == "true"
    separator = source.option("lineSep")
    options = {} if separator is None else {"lineSep": separator}
    options |= {"wholetext": "true"} if whole else {}
    lines = chosen_files(spark, source, "text", **options)
    known = known_keys(columns)
    pattern = _suspicious(known)
    suspects = lines if pattern is None else lines.filter(F.col("value").rlike(pattern))
    lost = suspects.select(file_name().alias("file"), "value").mapInArrow(
        _finder(known), "file string, what string"
    )
    found = lost.groupBy("what").agg(F.count(F.lit(1)).alias("n"), F.min("file").alias("file"))
    rows = found.orderBy("what").limit(_MOST_SHOWN).collect()
    for row in rows:
        if row["what"] == _BEHIND:
            raise SourceError(
                f"a line of jsonl must hold one record, because Spark reads only the first. "
                f"{row['n']:,} hold more. One of their files is {row['file']}.",
                hint="write each record in its own line, or write the records of a line as a JSON "
                "array.",
            )
    if rows:
        shown = "; ".join(f"{row['what']} in {row['file']}" for row in rows)
        raise SourceError(
            "keys of JSON records must not differ in upper and lower case alone: Spark reads only "
            f"one of them and would lose the values of the others. Got {shown}.",
            hint="rename the key in the files, or keep the object that holds it as JSON text: give "
            'it the type string in source.types, as in "id string, text string, meta string".',
        )


def known_keys(kind: DataType) -> Known:
    """Collect the field names of a type at every depth.

    Parameters
    ----------
    kind
        A Spark type.

    Returns
    -------
    Known
        A dict for a struct, a list of one entry for an array or a map, else ``None``.
    """
    if isinstance(kind, StructType):
        return {field.name: known_keys(field.dataType) for field in kind.fields}
    if isinstance(kind, ArrayType):
        return [known_keys(kind.elementType)]
    if isinstance(kind, MapType):
        return [known_keys(kind.valueType)]
    return None


def lost_keys(value: Any, known: Known, path: str = "") -> Iterator[str]:
    """Find the keys of a parsed value that the schema knows only in another case.

    Parameters
    ----------
    value
        A value as ``json.loads`` returns it.
    known
        The field names of its type, from :func:`known_keys`.
    path
        Dotted path of the value, empty or with a dot at its end.

    Yields
    ------
    str
        The key with its path, and the known name, such as ``meta.lang beside Lang``.
    """
    if isinstance(known, list):
        for inner in value if isinstance(value, list) else _values(value):
            yield from lost_keys(inner, known[0], path)
    elif isinstance(known, dict) and isinstance(value, dict):
        other_case = {name.lower(): name for name in known}
        for key, inner in value.items():
            if key in known:
                yield from lost_keys(inner, known[key], f"{path}{key}.")
            elif key.lower() in other_case:
                yield f"{path}{key} beside {other_case[key.lower()]}"
    elif isinstance(known, dict) and isinstance(value, list):  # a line may be an array of records
        for inner in value:
            yield from lost_keys(inner, known, path)


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def lost_in(text: str, known: Known) -> set[str]:
    """Describe what Spark's JSON reader would lose of a line or of a whole file.

    Parameters
    ----------
    text
        One record, or several. Text that is not JSON loses nothing: it goes to quarantine as it is.
    known
        The field names of the record's type, from :func:`known_keys`.

    Returns
    -------
    set[str]
        The descriptions of :func:`lost_keys`, and one for records behind the first.
    """
    text = text.strip().removeprefix("\ufeff")
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return set()
    behind = {_BEHIND} if text[end:].strip() else set()
    return behind | set(lost_keys(value, known))


def _finder(
    known: Known,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            files, lines = (column.cast(pa.binary()).to_pylist() for column in batch.columns)
            found = [
                (file.decode(), what)
                for file, line in zip(files, lines, strict=True)
                for what in sorted(lost_in(line.decode("utf-8", "replace"), known))
            ]
            columns = [pa.array([row[i] for row in found], pa.string()) for i in range(2)]
            yield pa.RecordBatch.from_arrays(columns, names=["file", "what"])

    return find


def _suspicious(known: Known) -> str | None:
    """Java regular expression for the lines that :func:`lost_in` must see. ``None`` means all."""
    names = set(_all_names(known))
    if len(names) > _MOST_NAMES:
        return None
    spellings: dict[str, set[str]] = {}
    for name in names:
        spellings.setdefault(name.lower(), set()).add(name)
    # Two places may spell a name in different cases. Then even a known spelling may be at the
    # wrong place, so only names with a single spelling are excluded.
    exact = [re.escape(*found) for found in spellings.values() if len(found) == 1]
    every = "|".join(map(re.escape, spellings))
    not_exact = f'(?!(?:{"|".join(exact)})")' if exact else ""
    key = rf'"{not_exact}(?iu:{every})"\s*+:'
    return rf"(?s){key}|\}}\s*+\{{|[^\s\}}\]]\s*+$"


def _all_names(known: Known) -> Iterator[str]:
    if isinstance(known, list):
        yield from _all_names(known[0])
    elif isinstance(known, dict):
        for name, inner in known.items():
            yield name
            yield from _all_names(inner)
