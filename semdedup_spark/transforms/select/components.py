"""Connected components: each work unit links rows, and Spark merges links by a few joins."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.select.components import first_linked
from semdedup_spark.kernels.vectors import float32_threshold
from semdedup_spark.transforms.arrow import map_groups
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.score.packed_rows import ROLE, TILE, UNIT, VECTOR, unpack_unit
from semdedup_spark.transforms.score.row_keys import rank_order

OTHER = "other"
COMPONENT = "component"
_LEAST = "least"


def link_units(packed: DataFrame, dimension: int, n_tasks: int, eps: float) -> DataFrame:
    """Link the rows of each unit.

    Parameters
    ----------
    packed
        Packed rows, see :mod:`~transforms.score.packed_rows`.
    dimension
        Numbers in a vector, d.
    n_tasks
        Number of Spark tasks.
    eps
        Rows are linked if their similarity is greater than 1 - eps.

    Returns
    -------
    DataFrame
        Edges (id, other): for each component within a unit a star. There are fewer edges than
        visits.
    """
    id_type = packed.schema[s.ID].dataType.elementType.simpleString()  # type: ignore[attr-defined]
    above = float32_threshold(1.0 - eps)

    def link(table: pa.Table) -> pa.Table:
        unit = unpack_unit(table, dimension)
        visits = unit.visits.take(pa.array(rank_order(unit.visits)))
        rows = UnitRowsInOrder(
            vectors=unit.vectors.X,
            hashes=unit.vectors.hashes,
            vector=visits.column(VECTOR).to_numpy(),
            tile=visits.column(TILE).to_numpy(),
            role=visits.column(ROLE).to_numpy(),
        )
        first = first_linked(rows, above=above)
        linked = np.flatnonzero(first != np.arange(len(first)))
        ids = visits.column(s.ID)
        return pa.table(
            {s.ID: ids.take(pa.array(linked)), OTHER: ids.take(pa.array(first[linked]))}
        )

    units = packed.repartition(n_tasks, UNIT)
    return map_groups(units, UNIT, link, f"{s.ID} {id_type}, {OTHER} {id_type}")


def connected_components(edges: DataFrame) -> DataFrame:
    """Find the connected components of a graph. Runs Spark jobs.

    Parameters
    ----------
    edges
        Columns id and other.

    Returns
    -------
    DataFrame
        Columns id and component, for every node with an edge to another one: the smallest id that
        it is connected to.

    Notes
    -----
    Alternates the operations large-star and small-star of Kiveris et al. 2014, "Connected
    components in MapReduce and beyond". The number of edges never grows, and the number of rounds
    is about the logarithm of the longest path. No node's edges need to fit in memory.
    """
    distinct = edges.filter(F.col(s.ID) != F.col(OTHER)).select(
        F.greatest(s.ID, OTHER).alias(s.ID), F.least(s.ID, OTHER).alias(OTHER)
    )
    stars = held(distinct.distinct())
    before = None
    while True:
        now = _checksum(stars)
        if now == before:
            break
        before = now
        stars = held(_small_star(_large_star(stars)))
    members = stars.select(s.ID, F.col(OTHER).alias(COMPONENT))
    centers = stars.select(F.col(OTHER).alias(s.ID), F.col(OTHER).alias(COMPONENT))
    return members.unionByName(centers.distinct())


def _large_star(edges: DataFrame) -> DataFrame:
    """Every node links its larger neighbors to the least of its neighbors and itself."""
    turned = F.struct(F.col(OTHER).alias(s.ID), F.col(s.ID).alias(OTHER))
    directions = F.array(F.struct(s.ID, OTHER), turned)
    both = edges.select(F.inline(directions).alias(s.ID, OTHER))
    least = F.least(F.min(OTHER).over(Window.partitionBy(s.ID)), F.col(s.ID)).alias(_LEAST)
    larger = both.select(s.ID, OTHER, least).filter(F.col(OTHER) > F.col(s.ID))
    return larger.select(F.col(OTHER).alias(s.ID), F.col(_LEAST).alias(OTHER))


def _small_star(edges: DataFrame) -> DataFrame:
    """Every node links its smaller neighbors, and itself, to the least of them."""
    least = F.min(OTHER).over(Window.partitionBy(s.ID)).alias(_LEAST)
    ends = F.array(
        F.struct(F.col(OTHER).alias(s.ID), F.col(_LEAST).alias(OTHER)),
        F.struct(F.col(s.ID).alias(s.ID), F.col(_LEAST).alias(OTHER)),
    )
    stars = edges.select(s.ID, OTHER, least).select(F.inline(ends).alias(s.ID, OTHER))
    return stars.filter(F.col(s.ID) != F.col(OTHER)).distinct()


def _checksum(edges: DataFrame) -> tuple[int, int]:
    hashes = F.bit_xor(F.xxhash64(s.ID, OTHER))
    row = edges.agg(F.count(F.lit(1)), hashes).first()
    return (0, 0) if row is None else (int(row[0]), int(row[1] or 0))
