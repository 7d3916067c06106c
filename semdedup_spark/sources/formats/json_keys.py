"""What Spark's JSON reader would lose without a word, looked for in the records themselves.

It finds no key that differs in case from the one in its schema, at any depth, and of a line reads
the first record only. Nearly all lines are passed over by a pattern; Python parses the others.
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
# Beyond so many names a pattern of them all is slower than parsing.
_MOST_NAMES = 500
# Of an object: what is known of its keys; of an array, or a map: of what it holds; else nothing.
Known = dict[str, "Known"] | list["Known"] | None
_BEHIND = "more than one record"


def check_json(spark: SparkSession, source: SourceConfig, columns: StructType) -> None:
    """Raise :class:`SourceError` where a key of a record differs in case alone from one of
    ``columns``, or where a second record stands behind the first.
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
                f"a line of jsonl must hold one record. {row['n']:,} hold more, some of them in "
                f"{row['file']}; only the first would be read.",
                hint="write each record in a line of its own; several in one line go between [ "
                "and ], with commas.",
            )
    if rows:
        shown = "; ".join(f"{row['what']} in {row['file']}" for row in rows)
        raise SourceError(
            "keys of JSON records must not differ in upper and lower case alone: Spark reads only "
            f"one of them, and the others' values would be lost. Got {shown}.",
            hint="rename the key in the files; or keep the object around it as its JSON text: name "
            'it in source.types as a string, such as "id string, text string, meta string".',
        )


def known_keys(kind: DataType) -> Known:
    """The names of a type's fields, down to the last."""
    if isinstance(kind, StructType):
        return {field.name: known_keys(field.dataType) for field in kind.fields}
    if isinstance(kind, ArrayType):
        return [known_keys(kind.elementType)]
    if isinstance(kind, MapType):
        return [known_keys(kind.valueType)]
    return None


def lost_keys(value: Any, known: Known, path: str = "") -> Iterator[str]:
    """``meta.lang beside Lang``: every key, of a parsed value, that is known in another case only.

    Parameters
    ----------
    value : object
        As ``json.loads`` returns it.
    known : dict, list or None
        Of the column's type; see :func:`known_keys`.
    path : str
        Where the value stands.
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
    """What the reader would lose of a line, or of a whole file. Of text that is no JSON nothing:
    it goes to quarantine as it is.
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
    """Java's pattern of lines that :func:`lost_in` must see; ``None``: of all of them."""
    names = set(_all_names(known))
    if len(names) > _MOST_NAMES:
        return None
    spellings: dict[str, set[str]] = {}
    for name in names:
        spellings.setdefault(name.lower(), set()).add(name)
    # A key that is spelled in two ways, at two places, may be at the wrong one.
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
