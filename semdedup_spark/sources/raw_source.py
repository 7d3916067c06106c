"""What every reader hands on: rows as they are, which column is what, how to read a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark.config import CONTENT_HASH, SourceConfig

# A reader's own column: struct<reason, message> of what it could not read, else null.
PROBLEM = "__problem"
PROBLEM_TYPE = "struct<reason:string,message:string>"


@dataclass(frozen=True)
class Roles:
    """Which column is what. ``id``: ``None`` where the key is made from the content; ``text``: the
    captions of kind image_text; ``own``: columns that travel to the output unless
    ``source.columns`` names others, ``None`` for all of them.
    """

    id: str | None
    content: str
    text: str | None = None
    own: list[str] | None = None


@dataclass(frozen=True)
class RawSource:
    """``df``: the source's rows and columns; ``fingerprint()``: equal for equal content, as far as
    can be told cheaply (Delta version; names, sizes and times of files; else a hash of all rows).

    ``part(begin, end)``: the rows with places in a range (see ``places.py``), read without reading
    the others; ``None`` where only a filter can tell. It may be used only where ids are unique.
    ``problem``, ``unreadable``: names of the reader's own columns, where it adds any: of type
    :data:`PROBLEM_TYPE`; the text of a record that could not be parsed, else null. Any other column
    is the source's, whatever its name. ``check()``: refuses what the reader would lose unseen, and
    may read all of it. ``version``: of a Delta table, at which it is read.
    ``keys``: the same rows and ids without their content, where that is cheaper to count.
    ``unique_ids``: known without looking; ``n_rows`` and ``dimension``, of vectors, likewise.
    """

    df: DataFrame
    fingerprint: Callable[[], str]
    roles: Roles
    problem: str | None = None
    unreadable: str | None = None
    check: Callable[[], None] = lambda: None
    version: int | None = None
    part: Callable[[int, int], DataFrame] | None = None
    keys: DataFrame | None = None
    unique_ids: bool = False
    n_rows: int | None = None
    dimension: int | None = None


def named_roles(source: SourceConfig) -> Roles:
    """The columns that the configuration names."""
    key = None if source.id == CONTENT_HASH else source.id
    return Roles(id=key, content=source.content or "", text=source.text)


def no_problem() -> Column:
    """The column :data:`PROBLEM` of a row that could be read."""
    return F.lit(None).cast(PROBLEM_TYPE).alias(PROBLEM)
