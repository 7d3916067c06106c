"""Second half of scoring: a grouped-map UDF compares the rows of each unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.score.missed_visits import Notices, may_have_missed
from semdedup_spark.kernels.score.routes import HOME, SECOND
from semdedup_spark.kernels.score.running_max import NO_NEIGHBOR
from semdedup_spark.kernels.score.unit import UnitScores, score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.transforms.arrow import map_groups
from semdedup_spark.transforms.cluster.centroid_source import assigner_of
from semdedup_spark.transforms.score.comparison import (
    AgainstReference,
    Comparison,
    Scope,
    Units,
)
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
from semdedup_spark.transforms.score.row_keys import rank_order
from semdedup_spark.transforms.worker import compute_device

COMPARISONS = "comparisons"
PROBES = "probes"
_NEIGHBOR_BATCH = "neighbor_batch"
_NEIGHBOR_RANK_KEY = "neighbor_rank_key"
_BEST = (s.MAX_SIMILARITY, _NEIGHBOR_BATCH, _NEIGHBOR_RANK_KEY, s.NEIGHBOR_ID)


def compare_units(
    packed: DataFrame, comparison: Comparison, scope: Scope, units: Units
) -> DataFrame:
    """Compare the rows of each unit.

    Parameters
    ----------
    packed
        Packed rows, see :mod:`semdedup_spark.transforms.score.packed_rows`.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    units
        What the rows were packed for.

    Returns
    -------
    DataFrame
        Partial scores: one line per row and unit in which something was found, and one line
        without id per unit, with its ``comparisons`` and ``probes``. Rows that are no targets
        get no line.
    """
    id_type = packed.schema[s.ID].dataType.elementType.simpleString()  # type: ignore[attr-defined]
    unit = UnitComparer(comparison.within_units(), isinstance(scope, AgainstReference))

    def compare(table: pa.Table) -> pa.Table:
        return unit.compare(table)

    shuffled = packed.repartition(units.n_tasks, UNIT)
    schema = partial_schema(id_type, rank_key_type(comparison.rank_by))
    return map_groups(shuffled, UNIT, compare, schema)


def merge_units(partial: DataFrame, *, several: bool) -> DataFrame:
    """Merge the partial scores of each row.

    The highest similarity counts; of equal similarities the neighbor that ranks first.

    Parameters
    ----------
    partial
        What :func:`compare_units` returned.
    several
        Whether a row may have several lines.

    Returns
    -------
    DataFrame
        One line per row: id, batch, cluster_id, centroid_similarity, rank_key, max_similarity,
        neighbor_id and exhaustive.
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
    """Tell the columns of a partial score.

    Parameters
    ----------
    id_type
        SQL type of the id.
    rank_type
        SQL type of the rank key.

    Returns
    -------
    str
        The columns, as DDL.
    """
    return (
        f"{s.ID} {id_type}, {s.BATCH} int, {s.CLUSTER_ID} int, {s.CENTROID_SIMILARITY} float, "
        f"{s.RANK_KEY} {rank_type}, {s.MAX_SIMILARITY} float, {_NEIGHBOR_BATCH} int, "
        f"{_NEIGHBOR_RANK_KEY} {rank_type}, {s.NEIGHBOR_ID} {id_type}, {s.EXHAUSTIVE} boolean, "
        f"{COMPARISONS} bigint, {PROBES} bigint"
    )


@dataclass(frozen=True)
class UnitComparer:
    """The UDF's body: the packed rows of one unit to its partial scores.

    Attributes
    ----------
    comparison
        How rows are compared, as :meth:`Comparison.within_units` returns it.
    others_only
        Whether targets are compared with the other rows only.
    settled
        Whether float64 settles what float32 leaves undecided, so that no result depends on which
        rows are together in a task.
    counts_visits
        Whether visits are counted here, and not by another task that has the same rows.
    """

    comparison: Comparison
    others_only: bool = False
    settled: bool = False
    counts_visits: bool = True

    def compare(self, table: pa.Table) -> pa.Table:
        """Compare the rows of one unit.

        Parameters
        ----------
        table
            All packed rows of the unit.

        Returns
        -------
        pa.Table
            One line per row for which something was found, then the line of the unit.
        """
        how = self.comparison
        unit = unpack_unit(table, how.centroids.dimension)
        order = rank_order(unit.visits)
        visits = unit.visits.take(pa.array(order[::-1] if how.backwards else order))
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
            above=how.above,
            device=compute_device(how.device),
            half=how.half,
            settled=self.settled,
        )
        found = _lines(visits, scores, self._exhaustive(unit, visits, rows))
        return pa.concat_tables([found, self._unit_line(found.schema, visits, scores)])

    def _exhaustive(self, unit: UnpackedUnit, visits: pa.Table, rows: UnitRowsInOrder) -> pa.Array:
        """Of each row at home, whether no pair above the horizon can have been missed."""
        how, n = self.comparison, len(rows.role)
        at_home = rows.role == HOME
        if how.probing is None or how.knows_all:
            return pa.array(np.full(n, how.knows_all), mask=~at_home)
        sure = at_home & ~visits.column(CUT).to_numpy(zero_copy_only=False)
        notices = Notices(
            *(
                unit.notices.column(c).to_numpy()
                for c in (NOTICE_HOME, NOTICE_TILE, NOTICE_DISTANCE)
            )
        )
        centroids = assigner_of(how.centroids).centroids
        for tile in np.unique(notices.cluster):
            members = np.flatnonzero(sure & (rows.tile == tile))
            X: FloatArray = rows.vectors[rows.vector[members]]
            to_tile = notices.to(int(tile))
            missed = may_have_missed(X, int(tile), to_tile, centroids, how.probing.eps_max)
            sure[members[missed]] = False
        return pa.array(sure, mask=~at_home)

    def _unit_line(self, schema: pa.Schema, visits: pa.Table, scores: UnitScores) -> pa.Table:
        foreign = visits.column(s.CLUSTER_ID).to_numpy() != visits.column(TILE).to_numpy()
        probes = foreign & (visits.column(ROLE).to_numpy() == SECOND)
        line: dict[str, list[int | None]] = {name: [None] for name in schema.names}
        line[COMPARISONS] = [scores.comparisons]
        counted = self.counts_visits and self.comparison.has_visits
        line[PROBES] = [int(probes.sum()) if counted else 0]
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
