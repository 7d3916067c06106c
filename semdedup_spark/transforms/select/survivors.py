"""From each removed row to its survivor: the kept row at the end of its chain of neighbors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.select.survivors import last_of_chain
from semdedup_spark.transforms.arrow import map_groups
from semdedup_spark.transforms.checkpoint import held

_FURTHER = "further"


def with_survivors(removed: DataFrame, *, across: bool, chains: bool = True) -> DataFrame:
    """Follow neighbors to the row that stays.

    Parameters
    ----------
    removed
        Columns id, neighbor_id, similarity and cluster_id.
    across
        Whether a neighbor may lie in another cluster than its row. Then Spark jobs run, about log2
        of the most cluster borders that a chain crosses.
    chains
        Whether a neighbor may itself be removed.

    Returns
    -------
    DataFrame
        ``removed`` with survivor_id.
    """
    if not chains:
        return removed.withColumn(s.SURVIVOR_ID, F.col(s.NEIGHBOR_ID))
    followed = _within_clusters(removed)
    return _across_clusters(followed) if across else followed


def _within_clusters(removed: DataFrame) -> DataFrame:
    """Follow each chain to the first row that is kept or lies in another cluster."""
    id_type = removed.schema[s.ID].dataType.simpleString()
    result = (
        f"{s.ID} {id_type}, {s.NEIGHBOR_ID} {id_type}, {s.SIMILARITY} float, "
        f"{s.CLUSTER_ID} int, {s.SURVIVOR_ID} {id_type}"
    )
    return map_groups(removed, s.CLUSTER_ID, add_survivors, result)


def add_survivors(removed: pa.Table) -> pa.Table:
    """The UDF's body: follow the chains within one cluster.

    Parameters
    ----------
    removed
        All removed rows of the cluster.

    Returns
    -------
    pa.Table
        ``removed`` with survivor_id: the first row of the chain that is kept or lies in another
        cluster.
    """
    ids = removed.column(s.ID).combine_chunks()
    neighbors = removed.column(s.NEIGHBOR_ID).combine_chunks()
    next_row = pc.fill_null(pc.index_in(neighbors, value_set=ids), -1).to_numpy().astype(np.int64)
    survivors = neighbors.take(pa.array(last_of_chain(next_row)))
    return removed.append_column(s.SURVIVOR_ID, survivors)


def _across_clusters(followed: DataFrame) -> DataFrame:
    """Pointer doubling: each round every row jumps to where the row that it has reached has got.

    A chain through c clusters takes log2(c) rounds, whatever its length within them.
    """
    followed = held(followed)
    reached = followed.select(s.ID, s.SURVIVOR_ID)
    while True:
        hops = reached.select(
            F.col(s.ID).alias(s.SURVIVOR_ID), F.col(s.SURVIVOR_ID).alias(_FURTHER)
        )
        jumped = held(reached.join(hops, s.SURVIVOR_ID, "left"))
        if jumped.filter(F.col(_FURTHER).isNotNull()).limit(1).count() == 0:
            return followed.drop(s.SURVIVOR_ID).join(reached, s.ID)
        at = F.coalesce(_FURTHER, s.SURVIVOR_ID).alias(s.SURVIVOR_ID)
        # A new name of its own: Spark 3.5 takes the id of a held frame for that of ``followed``.
        reached = jumped.select(F.col(s.ID).alias(s.ID), at)
