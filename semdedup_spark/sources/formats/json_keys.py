"""Checks of JSON records for content that Spark's JSON reader would lose without an error.

At any depth, the reader ignores a key whose case differs from the name in the schema. Of a key that
comes twice it keeps one value. It reads only the first record of a line. A schema that it infers
has no field for a key without a name, nor for an object that is always empty. A regular expression
clears nearly all lines, and Python parses the others.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.csv_lines import is_wide
from semdedup_spark.sources.formats.folder import chosen_files, file_name

_LOG = logging.getLogger(__name__)
_MOST_SHOWN = 3
# With more names than this, a regular expression of all of them is slower than parsing.
_MOST_NAMES = 500
# Levels of objects inside of an object that the regular expression looks through.
_DEPTH = 6
# Names of a type's fields. A struct is a dict by field name, an array or a map is a list of one
# entry (for its elements or values), and any other type is None.
Known = dict[str, "Known"] | list["Known"] | None
# Kinds of loss, the most urgent first: a record behind the first of its line, a key that Spark
# takes for another one, a key with a value that has no field, and one without any value.
BEHIND, SHARED, NO_FIELD, EMPTY = range(4)
Loss = tuple[int, str]


class _Object(dict[str, Any]):
    """A JSON object, and the keys that come twice in it.

    Attributes
    ----------
    twice
        These keys.
    """

    twice: frozenset[str] = frozenset()


def check_json(spark: SparkSession, source: SourceConfig, columns: StructType) -> None:
    """Check JSON files for keys and records that Spark would lose.

    Files in UTF-16 or UTF-32 are not checked: Spark's text reader cannot split their lines.

    Parameters
    ----------
    spark
        The session that reads the lines.
    source
        A source of format jsonl.
    columns
        The schema with which Spark reads the records.

    Notes
    -----
    It raises ``SourceError`` if a key comes twice, or differs from a field of ``columns`` only in
    case; if inferred ``columns`` have no field for a value; if a line (with multiLine, a file)
    holds a second record.
    """
    if is_wide(source):
        return
    whole = (source.option("multiLine") or source.option("wholeFile") or "").lower() == "true"
    separator = source.option("lineSep")
    options = {} if separator is None else {"lineSep": separator}
    options |= {"wholetext": "true"} if whole else {}
    lines = chosen_files(spark, source, "text", **options)
    known, inferred = known_keys(columns), source.types is None
    pattern = suspicious_lines(known, inferred=inferred)
    suspects = lines if pattern is None else lines.filter(F.col("value").rlike(pattern))
    lost = suspects.select(file_name().alias("file"), "value").mapInArrow(
        _finder(known, inferred=inferred), "file string, kind int, what string"
    )
    found = lost.groupBy("kind", "what").agg(
        F.count(F.lit(1)).alias("n"), F.min("file").alias("file")
    )
    rows = found.orderBy("kind", "what").limit(_MOST_SHOWN).collect()
    if rows:
        _refuse([row for row in rows if row["kind"] == rows[0]["kind"]])


def _refuse(rows: list[Row]) -> None:
    """Raise, or log, the losses of one kind."""
    shown = "; ".join(f"{row['what']} in {row['file']}" for row in rows)
    match rows[0]["kind"]:
        case kind if kind == BEHIND:
            raise SourceError(
                f"a line of jsonl must hold one record, because Spark reads only the first. "
                f"{rows[0]['n']:,} hold more. One of their files is {rows[0]['file']}.",
                hint="write each record in its own line, or write the records of a line as a JSON "
                "array.",
            )
        case kind if kind == SHARED:
            raise SourceError(
                "keys of JSON records must come once, and must not differ in upper and lower case "
                "alone: Spark reads only one of them and would lose the values of the others. "
                f"Got {shown}.",
                hint="rename the key in the files, or keep the object that holds it as JSON text: "
                'give it the type string in source.types, as in "id string, text string, meta '
                'string".',
            )
        case kind if kind == NO_FIELD:
            raise SourceError(
                "keys of JSON records must have a name: Spark infers no column for others, and "
                f"would lose their values. Got {shown}.",
                hint="rename the key in the files, or set source.types: an object of type string "
                "is kept as JSON text, and keys that are not in source.types are left out.",
            )
    _LOG.warning(
        "objects that are always empty are no columns unless source.types names them: %s", shown
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


def _lost_keys(value: Any, known: Known, path: str, *, inferred: bool) -> Iterator[Loss]:
    """The keys of a value that Spark would lose, such as ``meta.lang beside Lang``.

    ``path``: dotted path of the value, empty or with a dot at its end. ``inferred``: whether Spark
    has inferred the type. Otherwise a key may have no field.
    """
    if isinstance(known, list):
        twice = value.twice if isinstance(value, _Object) else ()  # of a map
        yield from ((SHARED, f"{path}{key} twice") for key in twice)
        for inner in value if isinstance(value, list) else _values(value):
            yield from _lost_keys(inner, known[0], path, inferred=inferred)
    elif isinstance(known, dict) and isinstance(value, _Object):
        other_case = {name.lower(): name for name in known}
        for key, inner in value.items():
            if key in known:
                yield from _lost_keys(inner, known[key], f"{path}{key}.", inferred=inferred)
            elif key.lower() in other_case:
                yield SHARED, f"{path}{key} beside {other_case[key.lower()]}"
            elif inferred:
                yield NO_FIELD if _holds(inner) else EMPTY, f"{path}{key or repr(key)}"
        yield from ((SHARED, f"{path}{key} twice") for key in value.twice & known.keys())
    elif isinstance(known, dict) and isinstance(value, list):  # a line may be an array of records
        for inner in value:
            yield from _lost_keys(inner, known, path, inferred=inferred)


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _holds(value: Any) -> bool:
    """Whether a value holds anything but empty objects and arrays, and nulls."""
    if isinstance(value, (dict, list)):
        return any(map(_holds, value if isinstance(value, list) else value.values()))
    return value is not None


def lost_in(text: str, known: Known, *, inferred: bool = False) -> set[Loss]:
    """Describe what Spark's JSON reader would lose of a line or of a whole file.

    Parameters
    ----------
    text
        One record, or several. Text that is not JSON loses nothing: it goes to quarantine as it is.
    known
        The field names of the record's type, from :func:`known_keys`.
    inferred
        Whether Spark has inferred the type.

    Returns
    -------
    set[Loss]
        Their kinds and descriptions.
    """
    text = text.strip().removeprefix("\ufeff")
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return set()
    behind = {(BEHIND, "more than one record")} if text[end:].strip() else set()
    return behind | set(_lost_keys(value, known, "", inferred=inferred))


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        found.twice = frozenset(key for key, n in counts.items() if n > 1)
    return found


# Numbers stay texts: they do not matter here, and Python refuses those of very many digits.
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, strict=False)


def _finder(
    known: Known, *, inferred: bool
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def find(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            files, lines = (column.cast(pa.binary()).to_pylist() for column in batch.columns)
            found = [
                (file.decode(), *loss)
                for file, line in zip(files, lines, strict=True)
                for loss in lost_in(line.decode("utf-8", "replace"), known, inferred=inferred)
            ]
            kinds = pa.string(), pa.int32(), pa.string()
            columns = [pa.array([row[i] for row in found], kind) for i, kind in enumerate(kinds)]
            yield pa.RecordBatch.from_arrays(columns, names=["file", "kind", "what"])

    return find


def suspicious_lines(known: Known, *, inferred: bool) -> str | None:
    """Make a Java regular expression for the lines that :func:`lost_in` must see.

    Parameters
    ----------
    known
        The field names of the records' type, from :func:`known_keys`.
    inferred
        Whether Spark has inferred the type.

    Returns
    -------
    str | None
        The expression; ``None`` where all lines must be seen.
    """
    names = dict.fromkeys(_all_names(known))
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
    keys = [
        rf'{not_exact}(?iu:{every})"\s*+:',
        r'[^"\\]*+(?:\\.[^"\\]*+)++"\s*+:',  # an escape may spell any name
        _twice(),
        *(['"\\s*+:'] if inferred else []),  # no name
    ]
    # A quote after a backslash begins no key. Each in a text would make it be read once more.
    parts = [rf'"(?<!\\")(?:{"|".join(keys)})', r"\}\s*+\{", r"^(?!.*[\}\]]\s*+$)"]
    parts += [r"\{(?<=[:\[,]\s{0,9}\{)\s*+\}"] if inferred else []
    return f"(?s){'|'.join(parts)}"


def _twice() -> str:
    """Regular expression, behind a quote, of a name that comes again in the same object. Objects in
    between are passed over as wholes; where they are too deep for that, Python looks.
    """
    string = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
    inner = ""
    for _ in range(_DEPTH):
        inner = rf'(?:[^"{{}}]++|{string}{inner})*+'
        inner = rf"|\{{{inner}\}}"
    return rf'([^"\\]++)"\s*+:(?:[^"{{}}]++|(?!"\1"\s*+:){string}{inner})*+(?:"\1"\s*+:|\{{)'


def _all_names(known: Known) -> Iterator[str]:
    if isinstance(known, list):
        yield from _all_names(known[0])
    elif isinstance(known, dict):
        for name, inner in known.items():
            yield name
            yield from _all_names(inner)
