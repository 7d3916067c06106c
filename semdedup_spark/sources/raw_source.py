"""The result of every reader: raw rows, the role of each column, and how to read a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark.config import CONTENT_HASH, SourceConfig

# A column that a reader adds: struct<reason, message> where it could not read a row, else null.
PROBLEM = "__problem"
PROBLEM_TYPE = "struct<reason:string,message:string>"


@dataclass(frozen=True)
class Roles:
    """The roles of a source's columns.

    Attributes
    ----------
    id
        Name of the id column. ``None`` if ids are made from the content.
    content
        Name of the column that is embedded.
    text
        Name of the column of captions, for kind image_text.
    own
        Names of the columns that travel to the output unless ``source.columns`` names others.
        ``None`` means all columns.
    """

    id: str | None
    content: str
    text: str | None = None
    own: list[str] | None = None


@dataclass(frozen=True)
class RawSource:
    """A source as its reader returns it.

    Attributes
    ----------
    df
        The source's rows and columns. Any column but ``problem`` and ``unreadable`` is the
        source's own, whatever its name.
    fingerprint
        Returns a string that is equal for equal content, as far as can be told cheaply: from the
        Delta version, from the names, sizes and times of files as they were listed before the rows
        were, or else from a hash of all rows.
    roles
        The roles of the columns.
    problem
        Name of the reader's column of type :data:`PROBLEM_TYPE`, if it adds one.
    unreadable
        Name of the reader's column with the text of records that it could not parse (else null),
        if it adds one.
    check
        Raises :class:`SourceError` for content that the reader would lose without an error. It may
        read the whole source.
    version
        Version of a Delta table that is read, else ``None``.
    part
        Takes a range of places (see ``hash_ranges.py``) and reads its rows, and no others. It may
        be used only if ids are unique, or all rows of an id lie in one place. ``None`` if only a
        filter can select a range.
    keys
        The same rows and ids without their content, if that is cheaper to count.
    unique_ids
        Whether ids are known to be unique without counting.
    n_rows
        Number of rows, if known without counting.
    dimension
        Length of the vectors, if known without reading them.
    fingerprint_now
        Lists the files again and returns their fingerprint. ``None`` if ``fingerprint`` itself
        looks anew.
    since
        Takes the fingerprint of an earlier version and returns the rows that were added to it.
        ``None`` if it is not known that nothing else has changed.
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
    fingerprint_now: Callable[[], str] | None = None
    since: Callable[[str], RawSource | None] = lambda _: None

    def changed(self, change: Callable[[DataFrame], DataFrame]) -> RawSource:
        """Change the rows, wherever they are read.

        Parameters
        ----------
        change
            Takes rows and returns as many.

        Returns
        -------
        RawSource
            With ``df``, every ``part`` and what was added changed; ``keys`` are as they were.
        """
        part, since = self.part, self.since
        of_part = None if part is None else lambda begin, end: change(part(begin, end))

        def changed_since(fingerprint: str) -> RawSource | None:
            added = since(fingerprint)
            return None if added is None else added.changed(change)

        return replace(self, df=change(self.df), part=of_part, since=changed_since)


def named_roles(source: SourceConfig) -> Roles:
    """Take the roles from the column names in the configuration.

    Parameters
    ----------
    source
        The configured source.

    Returns
    -------
    Roles
        The roles. All columns travel to the output.
    """
    key = None if source.id == CONTENT_HASH else source.id
    return Roles(id=key, content=source.content or "", text=source.text)


def no_problem() -> Column:
    """Make the column :data:`PROBLEM` for rows that could be read.

    Returns
    -------
    Column
        Null, of type :data:`PROBLEM_TYPE`.
    """
    return F.lit(None).cast(PROBLEM_TYPE).alias(PROBLEM)
