"""Own columns of a row as text, for people."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.masking import MASK
from semdedup_spark.secret_forms import is_secret_name


def told_columns(names: Sequence[str]) -> Column:
    """Write some own columns of a row.

    Parameters
    ----------
    names
        Columns of the struct ``source``, neither binary nor nested.

    Returns
    -------
    Column
        A line ``name: value`` for each that is not null and does not repeat the id.
    """
    return F.concat_ws("\n", *map(_line, names))


def told_value(name: str) -> Column:
    """Write the value of an own column.

    Parameters
    ----------
    name
        A column of the struct ``source``, neither binary nor nested.

    Returns
    -------
    Column
        It as text. Of a column that is named like a secret only that there is one.
    """
    value = _own(name)
    return F.when(value.isNotNull(), F.lit(MASK)) if is_secret_name(name) else value


def _line(name: str) -> Column:
    is_new = _own(name) != F.col(s.ID).cast("string")
    return F.when(is_new, F.concat(F.lit(f"{name}: "), told_value(name)))


def _own(name: str) -> Column:
    return F.col(f"{s.SOURCE}.{s.quoted(name)}").cast("string")
