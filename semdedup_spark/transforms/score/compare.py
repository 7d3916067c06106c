"""Compares rows: the one entry to both ways of bringing them together."""

from __future__ import annotations

from pyspark.sql import DataFrame

from semdedup_spark.transforms.score.compare_broadcast import compare_where_read
from semdedup_spark.transforms.score.compare_units import compare_units, merge_units
from semdedup_spark.transforms.score.comparison import Broadcast, Carrier, Comparison, Scope
from semdedup_spark.transforms.score.route import route_rows


def compare(rows: DataFrame, comparison: Comparison, scope: Scope, carrier: Carrier) -> DataFrame:
    """Compare rows as planned.

    Parameters
    ----------
    rows
        Columns id, embedding, batch and source; ``target`` unless all scores are wanted; and
        perhaps ``label``, the cluster of the rows whose cluster is known.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    carrier
        How rows are brought together.

    Returns
    -------
    DataFrame
        Partial scores, see :func:`~transforms.score.compare_units.compare_units`.
    """
    if isinstance(carrier, Broadcast):
        return compare_where_read(rows, comparison, scope, carrier)
    packed = route_rows(rows, comparison, scope, carrier)
    return compare_units(packed, comparison, scope, carrier)


def merge(partial: DataFrame, comparison: Comparison, carrier: Carrier) -> DataFrame:
    """Merge the partial scores of each row.

    Parameters
    ----------
    partial
        What :func:`compare` returned for the same comparison and carrier.
    comparison
        How rows were compared.
    carrier
        How rows were brought together.

    Returns
    -------
    DataFrame
        One line per scored row, see :func:`~transforms.score.compare_units.merge_units`.
    """
    cut = isinstance(carrier, Broadcast) or carrier.plan.has_tiles
    return merge_units(partial, several=cut or comparison.probing is not None)
