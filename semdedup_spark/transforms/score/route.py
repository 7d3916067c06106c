"""First half of scoring: assign rows to clusters and send them, packed, to their work units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.assign import Assigner, OneLevel
from semdedup_spark.kernels.cluster.lloyd import Assignment, LabelArray
from semdedup_spark.kernels.score.borders import Borders, Prober, Probing
from semdedup_spark.kernels.score.missed_visits import Notices, notices_of
from semdedup_spark.kernels.score.routes import Visits, home_units, route
from semdedup_spark.kernels.score.unit_plan import UnitPlan
from semdedup_spark.kernels.vectors import (
    FloatArray,
    IndexArray,
    first_of_equal_rows,
    hash_rows,
    paired_similarity,
)
from semdedup_spark.transforms.arrow import compute_device, map_batches, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of, on_device
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
    PackedTargets,
    Vectors,
    pack_rows,
    packed_schema,
)
from semdedup_spark.transforms.score.rank_key import rank_key_type, rank_keys, with_rank_columns


@dataclass(frozen=True)
class Routing:
    """How to assign and pack. ``unit_keys``: for each unit the value of the column ``unit``,
    which spreads the units evenly over ``n_tasks``;
    ``probing``: ``None`` where rows are compared within their clusters only; ``all_with_all``:
    where all rows are compared whatever their clusters, since probes would cost more: the plan's
    clusters are then as many as units need.

    ``met``: (k,) bool, only where not all rows are targets: the clusters that have or get one. The
    other rows stay at home, and those of other clusters are left out; ``alone``: whether targets
    therefore probe twice as far. With a budget all rows travel as ever, so that the same visits
    are cut. ``others_only``: targets are compared with the other rows, and not with each other;
    ``device``: where products are made, see :func:`compute_device`; ``sent``: the targets, where
    they are so few that they are sent to the other rows.
    """

    centroids: CentroidSource
    plan: UnitPlan
    unit_keys: npt.NDArray[np.int32]
    n_tasks: int
    rank_by: str
    probing: Probing | None = None
    all_with_all: bool = False
    met: npt.NDArray[np.bool_] | None = None
    others_only: bool = False
    device: str = "cpu"
    sent: PackedTargets | None = None

    @property
    def n_units(self) -> int:
        """Units that rows are sent to: none, where targets are sent to the rows."""
        return self.plan.n_units if self.sent is None else 0

    @property
    def alone(self) -> bool:
        """Whether only targets visit other clusters."""
        budgeted = self.probing is not None and self.probing.budget is not None
        return self.met is not None and not budgeted

    @property
    def knows_all(self) -> bool:
        """Whether no pair above the horizon can be missed."""
        exact = self.probing is not None and self.probing.budget is None
        return exact or self.all_with_all or self.centroids.n_clusters == 1


def route_rows(embeddings: DataFrame, routing: Routing, *, seed: int) -> DataFrame:
    """Assign and pack. ``embeddings``: id, embedding, batch, source; ``target`` where not all rows
    are; and perhaps ``label``, the cluster of the rows where it is known. Returns packed rows (see
    :mod:`semdedup_spark.transforms.score.packed_rows`).
    """
    id_type = embeddings.schema[s.ID].dataType.simpleString()
    rows = ranked_rows(embeddings, routing.rank_by, seed)

    def route_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        router = Router(routing)
        for batch in batches:
            yield from router.route(batch)

    return map_batches(rows, route_batches, packed_schema(id_type, rank_key_type(routing.rank_by)))


def ranked_rows(embeddings: DataFrame, rank_by: str, seed: int) -> DataFrame:
    """What :class:`Router` takes, of what :func:`route_rows` takes."""
    also = [name for name in (TARGET, LABEL) if name in embeddings.columns]
    return with_rank_columns(embeddings, rank_by, seed, also=also)


class Router:
    """The UDF's body: rows of one Arrow batch to packed rows, one for each unit visited."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._assigner: Assigner = assigner_of(routing.centroids)
        if routing.probing is not None:
            # The proof of exact recall for targets alone needs the nearest of all centroids, and
            # probing makes these products anyway.
            self._assigner = OneLevel(self._assigner.centroids)
        if isinstance(self._assigner, OneLevel):
            self._assigner = on_device(self._assigner, compute_device(routing.device))
        probing = routing.probing
        self._prober = None
        if probing is not None and not routing.all_with_all:
            self._prober = Prober(
                self._assigner.centroids,
                eps_max=probing.eps_max,
                budget=probing.budget,
                alone=routing.alone,
            )

    def route(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """``batch``: id, embedding, batch, the columns of the rank, perhaps target and label."""
        if not batch.num_rows:
            return
        X = np.ascontiguousarray(to_matrix(batch.column(s.EMBEDDING)))
        batch = batch.select([name for name in batch.schema.names if name != s.EMBEDDING])
        batch, X, borders = self._needed(batch, X, self._borders(X, batch))
        if not batch.num_rows:
            return
        hashes, plan = hash_rows(X), self._routing.plan
        keys = self._keys(batch, borders.assignment)
        distinct = first_of_equal_rows(X, hashes)
        travels = _first_in_rank_order(keys, distinct)
        if self._routing.others_only:  # a target stands for no other
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
        yield from pack_rows(by_unit, distinct[row], notices, vectors, self._routing.unit_keys)

    def _borders(self, X: FloatArray, batch: pa.RecordBatch) -> Borders:
        none = Visits(np.empty(0, np.int64), np.empty(0, np.int32))
        no_distance = np.empty(0, np.float32)
        if self._prober is None:
            return Borders(self._assignment(X, batch), none, none, no_distance)
        if not self._routing.alone:
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
        met, labels = self._routing.met, borders.assignment.labels
        if met is None or not self._routing.alone or self._routing.all_with_all or met.all():
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
        if not self._routing.all_with_all:
            return labels, borders.visits
        n = len(self._routing.plan.slots)
        tiles: LabelArray = labels % np.int32(n)
        rows = np.repeat(np.flatnonzero(targets), n) if n > 1 else np.empty(0, np.int64)
        others = np.tile(np.arange(n, dtype=np.int32), len(rows) // n)
        foreign = others != tiles[rows]
        return tiles, Visits(rows[foreign], others[foreign])

    def _keys(self, batch: pa.RecordBatch, nearest: Assignment) -> pa.Table:
        rank_key = rank_keys(batch, self._routing.rank_by, nearest.similarity)
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


def is_target(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """(n,) whether the row's score is wanted; that of all rows where nothing is said."""
    if TARGET not in batch.schema.names:
        return np.ones(batch.num_rows, dtype=bool)
    return np.asarray(batch.column(TARGET).to_numpy(zero_copy_only=False), dtype=bool)


def rank_order(keys: pa.Table) -> IndexArray:
    """Positions in rank order. Ids are compared as SQL compares them, strings byte by byte.

    ``keys``: batch, rank_key, id.
    """
    by = [(name, "ascending") for name in (s.BATCH, s.RANK_KEY, s.ID)]
    order: IndexArray = pc.sort_indices(keys, sort_keys=by).to_numpy().astype(np.int64)
    return order


def _first_in_rank_order(keys: pa.Table, distinct: IndexArray) -> npt.NDArray[np.bool_]:
    """(n,) whether a row ranks first among those of the batch with its vector. The others need not
    travel: wherever they went, this one would stand for them.
    """
    n = len(distinct)
    first = np.ones(n, dtype=bool)
    if not np.array_equal(distinct, np.arange(n)):
        order = rank_order(keys)
        _, position = np.unique(distinct[order], return_index=True)
        first[:] = False
        first[order[position]] = True
    return first


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
