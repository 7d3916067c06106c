"""One commit that brings a table to what it would be if it were replaced."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.tables.catalog import OutputRoot, read_table
from semdedup_spark.tables.commits.column_comments import with_comments
from semdedup_spark.tables.commits.write import Commit, append_rows, replace_rows
from semdedup_spark.tables.hash_buckets import Part
from semdedup_spark.tables.marks import Mark

# Up to so many rows are written into one file.
_ONE_FILE = 1000
_DELETION_VECTORS = "delta.enableDeletionVectors"


def has_columns_of(there: DataFrame, rows: DataFrame, table: str) -> bool:
    """Tell whether a table has the columns that it would get if it were replaced: their names,
    order, types and comments.

    Parameters
    ----------
    there
        The table.
    rows
        Rows that might replace it.
    table
        Its name.

    Returns
    -------
    bool
        Whether all of them are equal. What may be null does not count: in a table anything may.
    """
    return _columns(there) == _columns(with_comments(rows, table))


def _columns(rows: DataFrame) -> list[tuple[str, str, str | None]]:
    fields = rows.schema
    return [(f.name, f.dataType.simpleString(), f.metadata.get("comment")) for f in fields]


def has_deletion_vectors(spark: SparkSession, root: OutputRoot, table: str) -> bool:
    """Tell whether rows that leave a table stay in its files, marked as deleted.

    Parameters
    ----------
    spark
        The session that asks.
    root
        The output that the table lies in.
    table
        Name of the table.

    Returns
    -------
    bool
        Whether the table's properties ask for that.
    """
    row = spark.sql(f"DESCRIBE DETAIL {root.name(table)}").select("properties").first()
    return row is not None and (row[0] or {}).get(_DELETION_VECTORS) == "true"


def change_rows(
    df: DataFrame, n_rows: int, root: OutputRoot, table: str, part: Part | None, mark: Mark
) -> Commit:
    """Append rows, and remove others in the same commit. Of the files that are there only those are
    written anew that hold a row of ``part``, or none where the table has deletion vectors. Before a
    call is repeated, the table's state must be read: what was appended stays.

    Parameters
    ----------
    df
        The new rows, all of which lie in ``part`` where there is one.
    n_rows
        Number of the new rows.
    root
        The output that the table lies in.
    table
        Name of the table.
    part
        The rows that are replaced; ``None`` where rows are only appended.
    mark
        The mark of the commit.

    Returns
    -------
    Commit
        Its number of rows is that of all rows that the table has now.
    """
    rows = df.repartition(1) if 0 < n_rows <= _ONE_FILE else df
    if part is None:
        commit = append_rows(rows, root, table, mark)
    else:
        commit = replace_rows(rows, root, table, part, mark)
    # Delta knows the number without reading the rows.
    left = read_table(df.sparkSession, root, table, commit.version).count()
    return Commit(commit.version, left)
