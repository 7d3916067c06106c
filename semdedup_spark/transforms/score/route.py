"""First half of scoring: assign rows to clusters and send them, packed, to their work units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.assign import Assigner, OneLevel
from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray
from semdedup_spark.kernels.score.borders import Borders, Prober
from semdedup_spark.kernels.score.missed_visits import Notices, notices_of
from semdedup_spark.kernels.score.routes import Visits, home_units, route
from semdedup_spark.kernels.score.unit_plan import UnitPlan
from semdedup_spark.kernels.vectors import (
    FloatArray,
    first_of_equal_rows,
    hash_rows,
    paired_similarity,
)
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import assigner_of, on_device
from semdedup_spark.transforms.score.comparison import (
    AgainstReference,
    Comparison,
    Scope,
    Units,
)
from semdedup_spark.transforms.score.packed_rows import (
    CUT,
    LABEL,
    NOTICE_DISTANCE,
    NOTICE_HOME,
    NOTICE_TILE,
    ROLE,
    TARGET,
    TILE,
    ByUnit,
    Vectors,
    pack_rows,
    packed_schema,
)
from semdedup_spark.transforms.score.rank_key import rank_key_type, rank_keys, with_rank_columns
from semdedup_spark.transforms.score.row_keys import first_in_rank_order, is_target
from semdedup_spark.transforms.worker import compute_device


def route_rows(
    embeddings: DataFrame, comparison: Comparison, scope: Scope, units: Units
) -> DataFrame:
    """Assign rows to clusters and pack them for the units that they visit.

    Parameters
    ----------
    embeddings
        Columns id, embedding, batch and source; ``target`` unless all scores are wanted; and
        perhaps ``label``, the cluster of the rows whose cluster is known.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    units
        The units, and which rows they need.

    Returns
    -------
    DataFrame
        Packed rows, see :mod:`semdedup_spark.transforms.score.packed_rows`.
    """
    id_type = embeddings.schema[s.ID].dataType.simpleString()
    rows = ranked_rows(embeddings, comparison)

    def route_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        router = Router(comparison, scope, units, device=comparison.device)
        for batch in batches:
            yield from router.route(batch)

    schema = packed_schema(id_type, rank_key_type(comparison.rank_by))
    return map_batches(rows, route_batches, schema)


def ranked_rows(embeddings: DataFrame, comparison: Comparison) -> DataFrame:
    """Add the columns of the rank order.

    Parameters
    ----------
    embeddings
        As :func:`route_rows` takes them.
    comparison
        How rows are compared.

    Returns
    -------
    DataFrame
        The columns that :class:`Router` needs.
    """
    also = [name for name in (TARGET, LABEL) if name in embeddings.columns]
    return with_rank_columns(embeddings, comparison.rank_by, comparison.seed, also=also)


class Router:
    """The UDF's body: rows of one Arrow batch to packed rows, one for each unit visited.

    Parameters
    ----------
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    units
        The units, and which rows they need.
    device
        Where the products with the centroids are made, see
        :func:`~transforms.worker.compute_device`.
    """

    def __init__(
        self, comparison: Comparison, scope: Scope, units: Units, *, device: str = "cpu"
    ) -> None:
        self._comparison, self._units = comparison, units
        self._others_only = isinstance(scope, AgainstReference)
        self._alone = comparison.visits_alone(scope)
        self._assigner: Assigner = assigner_of(comparison.centroids)
        probing = comparison.probing
        if probing is not None:
            # The proof of exact recall for targets alone needs the nearest of all centroids, and
            # probing makes these products anyway.
            self._assigner = OneLevel(self._assigner.centroids)
        if isinstance(self._assigner, OneLevel):
            self._assigner = on_device(self._assigner, compute_device(device))
        self._prober = None
        if probing is not None and not comparison.all_with_all:
            self._prober = Prober(
                self._assigner.centroids,
                eps_max=probing.eps_max,
                budget=probing.budget,
                alone=self._alone,
            )

    def route(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Pack the rows of a batch.

        Parameters
        ----------
        batch
            Columns id, embedding, batch, those of the rank order, perhaps target and label.

        Yields
        ------
        pa.RecordBatch
            Packed rows.
        """
        if not batch.num_rows:
            return
        X = np.ascontiguousarray(to_matrix(batch.column(s.EMBEDDING)))
        batch = batch.select([name for name in batch.schema.names if name != s.EMBEDDING])
        batch, X, borders = self._needed(batch, X, self._borders(X, batch))
        if not batch.num_rows:
            return
        hashes, plan = hash_rows(X), self._units.plan
        keys = self._keys(batch, borders.assignment)
        distinct = first_of_equal_rows(X, hashes)
        travels = first_in_rank_order(keys, distinct)
        if self._others_only:  # a target stands for no other
            travels |= is_target(batch)
        tiles, visits = self._tiles(borders, is_target(batch))
        routes = route(tiles, hashes, plan, travels=travels, probes=visits)
        order = np.argsort(routes.unit, kind="stable")
        row = routes.row[order]
        lines = keys.take(pa.array(row))
        lines = lines.append_column(TILE, pa.array(routes.tile[order]))
        lines = lines.append_column(ROLE, pa.array(routes.role[order]))
        lines = lines.append_column(CUT, pa.array(borders.is_cut()[row]))
        by_unit = ByUnit(routes.unit[order], lines)
        notices = _by_home_unit(notices_of(borders), plan)
        vectors = Vectors(X, hashes)
        yield from pack_rows(by_unit, distinct[row], notices, vectors, self._units.keys)

    def _borders(self, X: FloatArray, batch: pa.RecordBatch) -> Borders:
        none = Visits(np.empty(0, np.int64), np.empty(0, np.int32))
        no_distance = np.empty(0, np.float32)
        if self._prober is None:
            return Borders(self._assignment(X, batch), none, none, no_distance)
        if not self._alone:
            return self._prober(X)
        rows, visits = np.flatnonzero(is_target(batch)), none
        if len(rows):
            found = self._prober(X[rows]).visits
            visits = Visits(rows[found.row], found.cluster)
        return Borders(self._assignment(X, batch), visits, none, no_distance)

    def _assignment(self, X: FloatArray, batch: pa.RecordBatch) -> Assignment:
        """As the assigner finds it, who is asked about targets, and where no label is known."""
        if LABEL not in batch.schema.names:
            return self._assigner.assign(X)
        labels: LabelArray = batch.column(LABEL).fill_null(-1).to_numpy().astype(np.int32)
        unknown = np.flatnonzero((labels < 0) | is_target(batch))
        if len(unknown):
            labels[unknown] = self._assigner.assign(X[unknown]).labels
        return Assignment(labels, paired_similarity(X, self._assigner.centroids[labels]))

    def _needed(
        self, batch: pa.RecordBatch, X: FloatArray, borders: Borders
    ) -> tuple[pa.RecordBatch, FloatArray, Borders]:
        """Without the rows that no target meets."""
        met, labels = self._units.met, borders.assignment.labels
        if met is None or met.all():
            return batch, X, borders
        needed = is_target(batch) | met[labels]
        position = np.cumsum(needed) - 1
        assignment = Assignment(labels[needed], borders.assignment.similarity[needed])
        visits = Visits(position[borders.visits.row], borders.visits.cluster)
        left = Borders(assignment, visits, borders.cut, borders.cut_distance)
        return batch.filter(pa.array(needed)), X[needed], left

    def _tiles(self, borders: Borders, targets: npt.NDArray[np.bool_]) -> tuple[LabelArray, Visits]:
        """(the plan's cluster of each row, its visits to others)."""
        labels = borders.assignment.labels
        if not self._comparison.all_with_all:
            return labels, borders.visits
        n = len(self._units.plan.slots)
        tiles: LabelArray = labels % np.int32(n)
        rows = np.repeat(np.flatnonzero(targets), n) if n > 1 else np.empty(0, np.int64)
        others = np.tile(np.arange(n, dtype=np.int32), len(rows) // n)
        foreign = others != tiles[rows]
        return tiles, Visits(rows[foreign], others[foreign])

    def _keys(self, batch: pa.RecordBatch, nearest: Assignment) -> pa.Table:
        rank_key = rank_keys(batch, self._comparison.rank_by, nearest.similarity)
        return pa.table(
            {
                s.ID: batch.column(s.ID),
                s.BATCH: batch.column(s.BATCH),
                s.CLUSTER_ID: pa.array(nearest.labels),
                s.CENTROID_SIMILARITY: pa.array(nearest.similarity),
                s.RANK_KEY: rank_key,
                TARGET: pa.array(is_target(batch)),
            }
        )


def _by_home_unit(notices: Notices, plan: UnitPlan) -> ByUnit:
    """Each notice goes where the members of the cluster that was not visited are at home."""
    units = [home_units(int(cluster), plan) for cluster in notices.cluster]
    entry = np.repeat(np.arange(len(units)), [len(some) for some in units]).astype(np.int64)
    unit = np.concatenate([np.empty(0, np.int64), *units])
    order = np.argsort(unit, kind="stable")
    columns = {
        NOTICE_HOME: pa.array(notices.home[entry[order]], pa.int32()),
        NOTICE_TILE: pa.array(notices.cluster[entry[order]], pa.int32()),
        NOTICE_DISTANCE: pa.array(notices.distance[entry[order]], pa.float32()),
    }
    return ByUnit(unit[order], pa.table(columns))
