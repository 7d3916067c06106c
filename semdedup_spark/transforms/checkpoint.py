"""Intermediate rows that several steps need, or a loop returns to."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame


def held(rows: DataFrame) -> DataFrame:
    """The same rows, computed now and once, with a plan of one node: the plan of a loop would
    double with each round. Spark drops them when the frame is dropped. Where the platform cannot
    hold rows (serverless) they are computed again each time.
    """
    try:
        return rows.localCheckpoint(eager=True)
    except PySparkException:
        return rows
