"""Ids that people write as text, read in the type of their column: one rule for all commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyspark.sql.types import ByteType, DataType, IntegralType, LongType, ShortType

from semdedup_spark.errors import ConfigError, InvalidIdError
from semdedup_spark.paths import open_stream

# Stricter than Python's int (" 10", "+10", "1_0", digits of other scripts) and than Spark's cast.
_WHOLE = re.compile(r"-?[0-9]+")
_BITS = {ByteType: 8, ShortType: 16, LongType: 64}


def parse_id(key: str, kind: DataType, *, option: str = "--id") -> Any:
    """One id.

    Parameters
    ----------
    key
        As it was written. A string id is taken as it is, blanks included; a whole number has
        digits 0 to 9 and perhaps a minus sign before them, nothing else.
    kind
        Type of the ids of the table.
    option
        Where it was written, for the error.

    Returns
    -------
    int or str
        A value of that type.

    Raises
    ------
    InvalidIdError
        Where it cannot be an id of the table.
    """
    if not isinstance(kind, IntegralType):
        return _utf8(key, option)
    most = 2 ** (_BITS.get(type(kind), 32) - 1)
    if _WHOLE.fullmatch(key) is None or len(key) > 40 or not -most <= int(key) < most:
        raise InvalidIdError(
            f"{option} must be a whole number from {-most} to {most - 1}, in digits: ids here are "
            f"of type {kind.simpleString()}. Got {key!r}."
        )
    return int(key)


def parse_ids(keys: Iterable[str], kind: DataType, *, option: str = "--id") -> list[Any]:
    """Read ids as their column has them.

    Parameters
    ----------
    keys
        As they were written, see :func:`parse_id`, which raises where one cannot be an id.
    kind
        Type of the ids of the table.
    option
        Where they were written, for the error.

    Returns
    -------
    list[Any]
        Each id once, in the order given.
    """
    return list(dict.fromkeys(parse_id(key, kind, option=option) for key in keys))


def read_ids(path: Path, *, option: str = "--ids") -> list[str]:
    """Read ids from a text file in UTF-8, one a line. Empty lines are passed over. Only LF and
    CRLF end a line: other separators may be part of an id.

    Parameters
    ----------
    path
        The file; one with a scheme, such as ``s3:``, is read from there.
    option
        Where it was named, for the error.

    Returns
    -------
    list[str]
        The ids as they were written.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    try:
        with open_stream(str(path), option=option) as stream:
            lines = stream.read().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{option} must be a text file in UTF-8. Got {path}: {error}.") from error
    if all(line.endswith("\r") for line in lines[:-1]):
        lines = [line.removesuffix("\r") for line in lines]
    return [line for line in lines if line]


def _utf8(key: str, option: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidIdError(f"{option} must be text in UTF-8. Got {key!r}.") from error
    return key
