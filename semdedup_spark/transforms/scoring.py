"""Second half of scoring: a grouped-map UDF compares the rows of each unit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.scoring import UnitRowsInOrder, score_unit
from semdedup_spark.kernels.similarity import NO_NEIGHBOR, EarlierSimilarity
from semdedup_spark.kernels.vectors import unpack
from semdedup_spark.transforms.arrow import map_groups
from semdedup_spark.transforms.routing import (
    ACROSS,
    ROW_COLUMNS,
    SLOT,
    UNIT,
    VECTOR,
    VECTORS,
    rank_key_type,
)

_KEPT_COLUMNS = (s.ID, s.BATCH, s.CLUSTER_ID, s.CENTROID_SIMILARITY, s.RANK_KEY)
_NEIGHBOR_BATCH = "neighbor_batch"
_NEIGHBOR_RANK_KEY = "neighbor_rank_key"
_MOST_TASKS = 10_000


def score_rows(
    packed: DataFrame, *, dimension: int, n_units: int, has_tiles: bool, rank_by: str
) -> DataFrame:
    """Packed rows (see :mod:`semdedup_spark.transforms.routing`) to one scored row per source row:
    id, batch, cluster_id, centroid_similarity, rank_key, max_similarity, neighbor_id.
    """
    id_type = packed.schema[s.ID].dataType.elementType.simpleString()  # type: ignore[attr-defined]

    def score(table: pa.Table) -> pa.Table:
        return score_table(table, dimension)

    partial = map_groups(
        packed.repartition(min(n_units, _MOST_TASKS), UNIT),
        UNIT,
        score,
        _partial_schema(id_type, rank_key_type(rank_by)),
    )
    return _merge(partial) if has_tiles else partial.drop(_NEIGHBOR_BATCH, _NEIGHBOR_RANK_KEY)


def _partial_schema(id_type: str, rank_type: str) -> str:
    return (
        f"{s.ID} {id_type}, {s.BATCH} int, {s.CLUSTER_ID} int, {s.CENTROID_SIMILARITY} float, "
        f"{s.RANK_KEY} {rank_type}, {s.MAX_SIMILARITY} float, {_NEIGHBOR_BATCH} int, "
        f"{_NEIGHBOR_RANK_KEY} {rank_type}, {s.NEIGHBOR_ID} {id_type}"
    )


def score_table(table: pa.Table, dimension: int) -> pa.Table:
    """The UDF's body: the packed rows of one unit to its partial scores."""
    rows = _unpack(table, dimension)
    order = _rank_order(rows)
    rows = rows.take(order)
    best = score_unit(
        UnitRowsInOrder(
            vectors=_vectors(table, dimension),
            vector=rows.column(VECTOR).to_numpy(),
            labels=rows.column(s.CLUSTER_ID).to_numpy(),
            slot=rows.column(SLOT).to_numpy(),
            across=rows.column(ACROSS).to_numpy(),
        )
    )
    return _with_scores(rows, best)


def _unpack(table: pa.Table, dimension: int) -> pa.Table:
    """One line per source row. ``vector`` counts through the unit's matrices laid end to end."""
    columns = {name: pc.list_flatten(table.column(name)) for name in ROW_COLUMNS}
    matrix_rows = pc.binary_length(table.column(VECTORS)).to_numpy() // (4 * dimension)
    list_sizes = pc.list_value_length(table.column(VECTOR)).to_numpy()
    first = np.repeat(np.cumsum(matrix_rows) - matrix_rows, list_sizes)
    columns[VECTOR] = pa.array(columns[VECTOR].to_numpy().astype(np.int64) + first)
    return pa.table(columns)


def _vectors(table: pa.Table, dimension: int) -> np.ndarray:
    matrices = [unpack(value.as_buffer(), dimension) for value in table.column(VECTORS)]
    return np.concatenate(matrices) if len(matrices) > 1 else matrices[0]


def _rank_order(rows: pa.Table) -> pa.Array:
    """Positions in rank order. Ids are compared as SQL compares them, strings byte by byte."""
    keys = [(name, "ascending") for name in (s.BATCH, s.RANK_KEY, s.ID)]
    return pc.sort_indices(rows, sort_keys=keys)


def _with_scores(rows: pa.Table, best: EarlierSimilarity) -> pa.Table:
    found = best.neighbor != NO_NEIGHBOR
    neighbors = rows.take(pa.array(best.neighbor, mask=~found))
    columns = {name: rows.column(name) for name in _KEPT_COLUMNS}
    columns[s.MAX_SIMILARITY] = pa.array(best.max_similarity)
    columns[_NEIGHBOR_BATCH] = neighbors.column(s.BATCH)
    columns[_NEIGHBOR_RANK_KEY] = neighbors.column(s.RANK_KEY)
    columns[s.NEIGHBOR_ID] = neighbors.column(s.ID)
    return pa.table(columns)


def _merge(partial: DataFrame) -> DataFrame:
    """Best over a row's units; of equal similarities the neighbor that ranks first."""
    best = F.min(
        F.struct(
            (-F.col(s.MAX_SIMILARITY)).alias("negative"),
            F.col(_NEIGHBOR_BATCH),
            F.col(_NEIGHBOR_RANK_KEY),
            F.col(s.NEIGHBOR_ID),
        )
    ).alias("best")
    # batch, cluster and rank key are the same in all of a row's units
    merged = partial.groupBy(*_KEPT_COLUMNS).agg(best)
    return merged.select(
        *_KEPT_COLUMNS,
        F.abs(F.col("best.negative")).alias(s.MAX_SIMILARITY),
        F.col(f"best.{s.NEIGHBOR_ID}").alias(s.NEIGHBOR_ID),
    )
