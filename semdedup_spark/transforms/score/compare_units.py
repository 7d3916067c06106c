"""Second half of scoring: a grouped-map UDF compares the rows of each unit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.score.borders import Probing
from semdedup_spark.kernels.score.missed_visits import Notices, may_have_missed
from semdedup_spark.kernels.score.routes import HOME, SECOND
from semdedup_spark.kernels.score.running_max import NO_NEIGHBOR
from semdedup_spark.kernels.score.unit import UnitScores, score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.arrow import compute_device, map_groups
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of
from semdedup_spark.transforms.score.packed_rows import (
    CUT,
    KEY_COLUMNS,
    NOTICE_DISTANCE,
    NOTICE_HOME,
    NOTICE_TILE,
    ROLE,
    TARGET,
    TILE,
    UNIT,
    VECTOR,
    UnpackedUnit,
    unpack_unit,
)
from semdedup_spark.transforms.score.rank_key import rank_key_type
from semdedup_spark.transforms.score.route import Routing, rank_order

COMPARISONS = "comparisons"
PROBES = "probes"
_NEIGHBOR_BATCH = "neighbor_batch"
_NEIGHBOR_RANK_KEY = "neighbor_rank_key"
_BEST = (s.MAX_SIMILARITY, _NEIGHBOR_BATCH, _NEIGHBOR_RANK_KEY, s.NEIGHBOR_ID)


def compare_units(
    packed: DataFrame,
    routing: Routing,
    *,
    half: bool = False,
    backwards: bool = False,
) -> DataFrame:
    """Packed rows to partial scores: one line per row and unit where something was found, and one
    line without id per unit, that holds its ``comparisons`` and ``probes``. Rows that are no
    targets get no line. ``half``: a GPU multiplies in float16 first; ``backwards``: each row is
    compared with those that rank after it instead.
    """
    id_type = packed.schema[s.ID].dataType.elementType.simpleString()  # type: ignore[attr-defined]
    comparing = replace(Comparing.of(routing, half=half), backwards=backwards)

    def compare(table: pa.Table) -> pa.Table:
        return comparing.compare(table)

    units = packed.repartition(routing.n_tasks, UNIT)
    schema = partial_schema(id_type, rank_key_type(routing.rank_by))
    return map_groups(units, UNIT, compare, schema)


def merge_units(partial: DataFrame, *, several: bool) -> DataFrame:
    """One line per source row: id, batch, cluster_id, centroid_similarity, rank_key,
    max_similarity, neighbor_id, exhaustive. ``several``: whether a row may have several lines; of
    them the best counts, and of equal similarities the neighbor that ranks first.
    """
    rows = partial.filter(F.col(s.ID).isNotNull())
    columns = (*KEY_COLUMNS, s.MAX_SIMILARITY, s.NEIGHBOR_ID, s.EXHAUSTIVE)
    if not several:
        return rows.select(*columns)
    negative = (-F.col(s.MAX_SIMILARITY)).alias("negative")
    best = F.min(F.struct(negative, *_BEST[1:])).alias("best")
    # only the line from home knows whether the row is exhaustive; the keys are equal in all
    merged = rows.groupBy(*KEY_COLUMNS).agg(best, F.max(s.EXHAUSTIVE).alias(s.EXHAUSTIVE))
    return merged.select(
        *KEY_COLUMNS,
        F.abs(F.col("best.negative")).alias(s.MAX_SIMILARITY),
        F.col(f"best.{s.NEIGHBOR_ID}").alias(s.NEIGHBOR_ID),
        s.EXHAUSTIVE,
    )


def partial_schema(id_type: str, rank_type: str) -> str:
    """The columns of a partial score, as DDL."""
    return (
        f"{s.ID} {id_type}, {s.BATCH} int, {s.CLUSTER_ID} int, {s.CENTROID_SIMILARITY} float, "
        f"{s.RANK_KEY} {rank_type}, {s.MAX_SIMILARITY} float, {_NEIGHBOR_BATCH} int, "
        f"{_NEIGHBOR_RANK_KEY} {rank_type}, {s.NEIGHBOR_ID} {id_type}, {s.EXHAUSTIVE} boolean, "
        f"{COMPARISONS} bigint, {PROBES} bigint"
    )


@dataclass(frozen=True)
class Comparing:
    """The UDF's body: the packed rows of one unit to its partial scores. ``centroids`` only where
    a budget makes it necessary to know what may have been missed.
    """

    dimension: int
    knows_all: bool
    probing: Probing | None = None
    centroids: CentroidSource | None = None
    device: str = "cpu"
    probes: bool = False
    half: bool = False
    others_only: bool = False
    backwards: bool = False
    settled: bool = False

    @classmethod
    def of(cls, routing: Routing, *, half: bool = False) -> Comparing:
        """What the comparison needs of the routing."""
        probes = routing.probing is not None and not routing.all_with_all
        budgeted = routing.probing is not None and not routing.knows_all
        centroids = routing.centroids if budgeted else None
        dimension = routing.centroids.dimension
        return cls(
            dimension,
            routing.knows_all,
            routing.probing,
            centroids,
            routing.device,
            probes,
            half,
            routing.others_only,
        )

    def compare(self, table: pa.Table) -> pa.Table:
        """One line per row and unit where something was found, then the line of the unit."""
        unit = unpack_unit(table, self.dimension)
        order = rank_order(unit.visits)
        visits = unit.visits.take(pa.array(order[::-1] if self.backwards else order))
        wanted = visits.column(TARGET).to_numpy()
        rows = UnitRowsInOrder(
            vectors=unit.vectors.X,
            hashes=unit.vectors.hashes,
            vector=visits.column(VECTOR).to_numpy(),
            tile=visits.column(TILE).to_numpy(),
            role=visits.column(ROLE).to_numpy(),
            is_target=None if wanted.all() else wanted,
            others_only=self.others_only,
        )
        scores = score_unit(
            rows,
            above=self._above(),
            device=compute_device(self.device),
            half=self.half,
            settled=self.settled,
        )
        found = _lines(visits, scores, self._exhaustive(unit, visits, rows))
        return pa.concat_tables([found, self._unit_line(found.schema, visits, scores)])

    def _above(self) -> float:
        """Similarities up to the horizon are of no use where not all of them are known."""
        if self.probing is None:
            return 0.0
        horizon = np.float32(1.0 - self.probing.eps_max)
        return float(np.nextafter(horizon, np.float32(0)))

    def _exhaustive(self, unit: UnpackedUnit, visits: pa.Table, rows: UnitRowsInOrder) -> pa.Array:
        """Of each row at home, whether no pair above the horizon can have been missed."""
        probing, n = self.probing, len(rows.role)
        at_home = rows.role == HOME
        if probing is None or self.centroids is None:
            return pa.array(np.full(n, self.knows_all), mask=~at_home)
        sure = at_home & ~visits.column(CUT).to_numpy(zero_copy_only=False)
        notices = Notices(
            *(
                unit.notices.column(c).to_numpy()
                for c in (NOTICE_HOME, NOTICE_TILE, NOTICE_DISTANCE)
            )
        )
        centroids = assigner_of(self.centroids).centroids
        for tile in np.unique(notices.cluster):
            members = np.flatnonzero(sure & (rows.tile == tile))
            X: FloatArray = rows.vectors[rows.vector[members]]
            to_tile = notices.to(int(tile))
            missed = may_have_missed(X, int(tile), to_tile, centroids, probing.eps_max)
            sure[members[missed]] = False
        return pa.array(sure, mask=~at_home)

    def _unit_line(self, schema: pa.Schema, visits: pa.Table, scores: UnitScores) -> pa.Table:
        foreign = visits.column(s.CLUSTER_ID).to_numpy() != visits.column(TILE).to_numpy()
        probes = foreign & (visits.column(ROLE).to_numpy() == SECOND)
        line: dict[str, list[int | None]] = {name: [None] for name in schema.names}
        line[COMPARISONS] = [scores.comparisons]
        line[PROBES] = [int(probes.sum()) if self.probes else 0]
        return pa.table(line, schema=schema)


def _lines(visits: pa.Table, scores: UnitScores, exhaustive: pa.Array) -> pa.Table:
    best, at_home = scores.best, exhaustive.is_valid()
    found = best.neighbor != NO_NEIGHBOR
    neighbors = visits.take(pa.array(best.neighbor, mask=~found))
    columns = {name: visits.column(name) for name in KEY_COLUMNS}
    columns[s.MAX_SIMILARITY] = pa.array(best.max_similarity)
    columns[_NEIGHBOR_BATCH] = neighbors.column(s.BATCH)
    columns[_NEIGHBOR_RANK_KEY] = neighbors.column(s.RANK_KEY)
    columns[s.NEIGHBOR_ID] = neighbors.column(s.ID)
    columns[s.EXHAUSTIVE] = exhaustive
    columns[COMPARISONS] = columns[PROBES] = pa.nulls(len(found), pa.int64())
    lines = pa.table(columns)
    shown = (np.asarray(at_home) | found) & visits.column(TARGET).to_numpy()
    return lines if shown.all() else lines.filter(pa.array(shown))
