"""Views of an output in a catalog."""

from __future__ import annotations

from pyspark.sql import SparkSession

from semdedup_spark.tables.catalog import OutputRoot, table_exists
from semdedup_spark.tables.states import note_write


def is_view(spark: SparkSession, root: OutputRoot, name: str) -> bool:
    """Tell whether a name of the output is that of a view.

    Parameters
    ----------
    spark
        The session that asks.
    root
        The output.
    name
        Name of a table or view.

    Returns
    -------
    bool
        False also where there is neither, or the output is a path.
    """
    there = root.is_catalog and table_exists(spark, root, name)
    return there and spark.catalog.getTable(root.name(name)).tableType == "VIEW"


def replace_view(spark: SparkSession, root: OutputRoot, name: str, query: str) -> None:
    """Make a view, in place of one that is there.

    Parameters
    ----------
    spark
        The session that makes it.
    root
        The output, a catalog schema.
    name
        Name of the view.
    query
        What it shows. It names tables and columns only.
    """
    spark.sql(f"CREATE OR REPLACE VIEW {root.name(name)} AS {query}")
    note_write(root, name)


def drop_view(spark: SparkSession, root: OutputRoot, name: str) -> None:
    """Remove a view. It holds no rows of its own.

    Parameters
    ----------
    spark
        The session that removes it.
    root
        The output, a catalog schema.
    name
        Name of the view.
    """
    spark.sql(f"DROP VIEW IF EXISTS {root.name(name)}")
    note_write(root, name)
