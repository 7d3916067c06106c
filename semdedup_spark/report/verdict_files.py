"""Files of verdicts: what the review page saves, and removals for who reviews elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

from semdedup_spark.answers.audit import JUDGEMENTS, Judgement, Removal, Verdict
from semdedup_spark.errors import ConfigError, did_you_mean
from semdedup_spark.report.files import replace_file
from semdedup_spark.visible import inline

# Columns of a file of verdicts; a file may have others.
_NEEDED = ("id", "survivor_id", "judgement")
_VERDICT = (*_NEEDED, "reviewer", "judged_at")
_SIMILARITIES = ("similarity", "survivor_similarity")
_TEXTS = ("id", "survivor_id", "text", "survivor_text")
_FOR_REVIEW = (*_TEXTS, *_SIMILARITIES, "stratum", "judgement", "reviewer", "judged_at")
_SPOKEN: dict[str, Judgement] = {short: each for each in JUDGEMENTS for short in (each, each[0])}

_MARK = "\ufeff"  # tells spreadsheets that the file is UTF-8
_LINE_END = re.compile(r"\r\n|\r|\n")
# What follows the first name. Spreadsheets of many countries separate by semicolons.
_SEPARATOR = re.compile(r'(?:"[^"]*"|[^",;\t\r\n]*)([,;\t])')


def read_verdicts(path: Path) -> list[Verdict]:
    """Read verdicts that the review page saved, or that a person wrote into another file.

    Parameters
    ----------
    path
        A CSV file in UTF-8, separated by commas, semicolons or tabs, or a Parquet file or folder.
        Columns ``id``, ``survivor_id`` and ``judgement`` are needed, ``reviewer`` and
        ``judged_at`` are read where they are there, others are ignored.

    Returns
    -------
    list of Verdict
        In the order of the file, ids as text. A row with an empty judgement was not judged and is
        left out. ``d``, ``n`` and ``s`` stand for ``duplicate``, ``not`` and ``skip``. A time
        without a zone is taken as UTC. A row without a time counts as judged now, at the moment of
        reading: the file's own time changes with every copy.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no file of verdicts. The message names the line.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"A file of verdicts must exist. Got {str(path)!r}.")
    rows = _parquet_rows(path) if _is_parquet(path) else _csv_rows(path)
    now = datetime.now(timezone.utc)
    verdicts: list[Verdict] = []
    for place, row in rows:
        judgement = _judgement(place, row["judgement"])
        if judgement is None:
            continue
        verdicts.append(
            Verdict(
                id=_id(place, "id", row["id"]),
                survivor_id=_id(place, "survivor_id", row["survivor_id"]),
                judgement=judgement,
                reviewer=str(row.get("reviewer") or ""),
                judged_at=_time(place, row.get("judged_at"))
                or now + timedelta(microseconds=len(verdicts)),  # a later line is newer
            )
        )
    return verdicts


def write_for_review(removals: Sequence[Removal], path: Path) -> None:
    """Write removals into a file for who judges them elsewhere, completely or not at all.

    Parameters
    ----------
    removals
        What is to be judged.
    path
        File to write, ``.csv`` or ``.parquet``. An old one is replaced.

    Raises
    ------
    ConfigError
        If the name ends otherwise.

    Notes
    -----
    The columns are ``id``, ``survivor_id``, ``text``, ``survivor_text``, ``similarity``,
    ``survivor_similarity`` and ``stratum``, and three to be filled in: ``judgement`` (duplicate,
    not or skip), ``reviewer`` and ``judged_at``. :func:`read_verdicts` reads the file back.

    A CSV file begins with a byte order mark, by which spreadsheets know UTF-8, and every value
    is quoted. Ids and texts are written as they are, secrets in ids too. A spreadsheet takes a
    value that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, quoted or not, and may write
    numbers and dates anew: import all columns as text, and do not open texts of strangers
    otherwise.
    """
    path = Path(path)
    rows = [_for_review(each) for each in removals]
    if path.suffix.lower() == ".parquet":
        replace_file(path, _as_parquet(rows))
    elif path.suffix.lower() == ".csv":
        replace_file(path, _as_csv(rows).encode("utf-8", "replace"))
    else:
        raise ConfigError(
            f"A file for review must end in .csv or .parquet. Got {str(path)!r}.",
            hint="the end of the name decides what is written.",
        )


def _judgement(place: str, value: Any) -> Judgement | None:
    said = "" if value is None else str(value).strip().lower()
    if said and said not in _SPOKEN:
        raise ConfigError(
            f"judgement must be duplicate, not or skip (or d, n, s). Got {value!r} in {place}.",
            hint=did_you_mean(said, JUDGEMENTS) or "leave it empty where nothing was judged.",
        )
    return _SPOKEN.get(said)


def _id(place: str, name: str, value: Any) -> str:
    if value is None:
        raise ConfigError(
            f"{name} must name a row. Got none in {place}.",
            hint="leave out rows that have no id, or leave their judgement empty.",
        )
    return str(value)


def _time(place: str, value: Any) -> datetime | None:
    at = value
    if isinstance(value, str) and not value.strip():
        return None
    try:
        if isinstance(value, str):
            # Python 3.10 reads neither Z nor other numbers of digits than 3 and 6.
            text = re.sub(r"[zZ]$", "+00:00", value.strip())
            text = re.sub(r"\.(\d{1,6})\d*", lambda digits: f".{digits[1]:0<6}", text)
            at = datetime.fromisoformat(text)
        if at is None or isinstance(at, datetime):
            return at and at.replace(tzinfo=at.tzinfo or timezone.utc).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        pass  # the same as any other value that is no time
    raise ConfigError(
        f"judged_at must be a time in ISO 8601, such as 2026-01-31T12:00:00Z. "
        f"Got {value!r} in {place}.",
        hint="leave it empty: then the moment of reading counts.",
    )


def _check_columns(path: Path, names: Sequence[str]) -> None:
    for name in _VERDICT:
        if names.count(name) > (name in names) or (name in _NEEDED and name not in names):
            got = ", ".join(map(inline, names)) or "no column"
            raise ConfigError(
                f"A file of verdicts must have the columns {', '.join(_NEEDED)}, each once. "
                f"{str(path)!r} has: {got}.",
                hint="a file that the review page saved, or the file written for review, has them.",
            )


def _is_parquet(path: Path) -> bool:
    if path.is_dir():
        return True
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A folder in the path called id=3 is no column of the file.
        names = pq.ParquetDataset(path, partitioning=None).schema.names
        _check_columns(path, names)
        table = pq.read_table(
            path, columns=[each for each in _VERDICT if each in names], partitioning=None
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(
            f"A file of verdicts must be CSV or Parquet. {str(path)!r} cannot be read: {error}",
            hint="save it again.",
        ) from error
    for place, name in enumerate(table.column_names):
        if pa.types.is_timestamp(table.schema.field(name).type):  # Python has no nanoseconds
            zone = table.schema.field(name).type.tz
            times = table.column(name).cast(pa.timestamp("us", zone), safe=False)
            table = table.set_column(place, name, times)
    for number, row in enumerate(table.to_pylist(), 1):
        yield f"row {number} of {str(path)!r}", row


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8").removeprefix(_MARK)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start].decode("latin-1"))) + 1
        raise ConfigError(
            f"A file of verdicts must be CSV in UTF-8, or Parquet. Got the byte "
            f"0x{data[error.start]:02x} in line {line} of {str(path)!r}.",
            hint='a spreadsheet saves UTF-8 as "CSV UTF-8", or asks for the character set.',
        ) from error
    first = _SEPARATOR.match(text)
    separator = first[1] if first else ","
    records = _records(path, text, separator)
    _, names = next(records, (1, []))
    _check_columns(path, names)
    for line, fields in records:
        place = f"line {line} of {str(path)!r}"
        if not any(fields):
            continue  # an empty line, or one of separators alone
        if len(fields) != len(names):
            raise ConfigError(
                f"Each line must have {len(names)} values, as the first line. "
                f"Got {len(fields)} in {place}.",
                hint='a value that holds a separator, a quote or a line end is put in "quotes".',
            )
        yield place, dict(zip(names, fields, strict=True))


def _records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Divide a text as RFC 4180 says: for each record its first line and its fields.

    The module csv of Python 3.10 does not read NUL, and no version keeps count of the lines of a
    field without reading files by lines.
    """
    field = re.compile(
        rf'(?:"([^"]*(?:""[^"]*)*)"|((?!")[^{separator}\r\n]*))({separator}|\r\n?|\n|\Z)'
    )
    at, line, first, fields = 0, 1, 1, list[str]()
    while at < len(text) or fields:
        found = field.match(text, at)
        if not found:
            _unclosed(path, line)
        quoted, plain, end = found.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        line += len(_LINE_END.findall(found[0]))
        at = found.end()
        if end != separator:
            yield first, fields
            first, fields = line, []


def _unclosed(path: Path, line: int) -> NoReturn:
    raise ConfigError(
        f'A value in "quotes" must end with a quote, and a separator or a line end behind it. '
        f"Got another one that begins in line {line} of {str(path)!r}.",
        hint='inside of quotes a quote is written twice: "".',
    )


def _for_review(removal: Removal) -> dict[str, Any]:
    texts = (removal.row.id, removal.survivor.id, removal.row.text, removal.survivor.text)
    return {
        # UTF-8 has no lone surrogates.
        **{k: v.encode("utf-8", "replace").decode() for k, v in zip(_TEXTS, texts, strict=True)},
        "similarity": removal.similarity,
        "survivor_similarity": removal.survivor_similarity,
        "stratum": removal.stratum,
    }


def _as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    def quoted(value: Any) -> str:
        return '"' + str(value).replace('"', '""') + '"'

    lines = [_FOR_REVIEW, *([row.get(name, "") for name in _FOR_REVIEW] for row in rows)]
    return _MARK + "".join(",".join(map(quoted, line)) + "\r\n" for line in lines)


def _as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {name: pa.string() for name in _FOR_REVIEW} | dict.fromkeys(_SIMILARITIES, pa.float64())
    types["judged_at"] = pa.timestamp("us", "UTC")
    held = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(types.items()))), held)
    return held.getvalue()
