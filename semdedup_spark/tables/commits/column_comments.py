"""Comments of columns travel into the Delta tables with each write."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.schema.comments import COMMENTS, SAME_COLUMNS


def with_comments(df: DataFrame, table: str, made_with: str = "") -> DataFrame:
    """Give each known column its comment from :mod:`semdedup_spark.schema`.

    Parameters
    ----------
    df
        Rows to be written.
    table
        Name of their table, also of a selection's, such as ``duplicates_strict``.
    made_with
        Name of the encoder, for the comment of the column ``embedding``; empty for none.

    Returns
    -------
    DataFrame
        The same rows.
    """
    of_selection = (t for t in s.OF_SELECTION if table.startswith(f"{t}_"))
    named = next(of_selection, SAME_COLUMNS.get(table, table))
    comments = dict(COMMENTS.get(named, {}))
    if made_with and s.EMBEDDING in comments:
        comments[s.EMBEDDING] += f"; made with {made_with}"
    fields = {field.name: field.metadata for field in df.schema}
    if named in (s.DEDUPLICATED, s.PRUNED):
        bare = [name for name, metadata in fields.items() if not metadata.get("comment")]
        comments |= dict.fromkeys(bare, "Column of the source, as it is there")
    return df.select(
        *(
            F.col(s.quoted(name)).alias(name, metadata={**fields[name], "comment": comments[name]})
            if name in comments
            else F.col(s.quoted(name))
            for name in df.columns
        )
    )
