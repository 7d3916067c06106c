"""Intermediate rows that several steps need, or a loop returns to."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame


def held(rows: DataFrame) -> DataFrame:
    """Compute rows now, once, and go on with a plan of one node.

    Without this the plan of a loop would double with each round. Spark drops the rows when the
    frame is dropped. Platforms that cannot hold rows (serverless) compute them again each time.

    Parameters
    ----------
    rows
        Rows that several steps read.

    Returns
    -------
    DataFrame
        The same rows.
    """
    try:
        return rows.localCheckpoint(eager=True)
    except PySparkException:
        return rows
