"""Few targets are sent to all other rows, so that the other rows need not be shuffled.

Each task holds all targets, packed as they would be for a single unit with one tile per cluster,
and compares them with the rows that it reads. One more task compares them with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches
from semdedup_spark.transforms.courier import collect_bytes, map_to_parcels
from semdedup_spark.transforms.score.compare_units import UnitComparer, partial_schema
from semdedup_spark.transforms.score.comparison import (
    AgainstReference,
    Broadcast,
    Comparison,
    Scope,
    Units,
)
from semdedup_spark.transforms.score.packed_rows import HASHES, TARGET, TILE, PackedTargets
from semdedup_spark.transforms.score.rank_key import rank_key_type
from semdedup_spark.transforms.score.route import Router, ranked_rows

# Spark Connect refuses plans of 128 MiB; two tasks of one plan hold the targets, and centroids.
MOST_BYTES = 32 * 2**20
# Of what is known of a target, in each cluster where it is compared: its keys.
_PLACE_BYTES = 128
# One task compares all of them with each other: seconds of one core.
_MOST_TARGETS = 20_000


def can_be_sent(n_places: int, n_targets: int, dimension: int, unit_rows: int) -> bool:
    """Decide whether targets are few enough to travel with every task.

    They must also leave room for other rows in the memory of a unit.

    Parameters
    ----------
    n_places
        Number of pairs of a target and a cluster in which it is compared, its own included.
    n_targets
        Number of targets.
    dimension
        Numbers in a vector, d.
    unit_rows
        Most rows that a unit may hold.

    Returns
    -------
    bool
        Whether the targets can be sent.
    """
    n_bytes = n_targets * dimension * 4 + n_places * _PLACE_BYTES
    return n_bytes <= MOST_BYTES and 0 < n_targets <= min(_MOST_TARGETS, unit_rows // 2)


def collect_targets(targets: DataFrame, comparison: Comparison, scope: Scope) -> PackedTargets:
    """Bring targets to the driver, if :func:`can_be_sent` allows it. Runs one Spark job.

    Parameters
    ----------
    targets
        As :func:`~transforms.score.route.route_rows` takes them.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.

    Returns
    -------
    PackedTargets
        The targets, packed for a single unit.
    """

    def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        yield from packed_streams(batches, comparison, scope)

    streams = collect_bytes(map_to_parcels(ranked_rows(targets, comparison), pack))
    return PackedTargets(tuple(streams))


def packed_streams(
    batches: Iterable[pa.RecordBatch], comparison: Comparison, scope: Scope
) -> Iterator[bytes]:
    """The UDF's body of :func:`collect_targets`.

    Parameters
    ----------
    batches
        Targets, as :class:`~transforms.score.route.Router` takes them.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.

    Yields
    ------
    bytes
        An entry of :class:`PackedTargets`.
    """
    # On the CPU, whatever the device of the comparison is: these are few rows.
    router = Router(comparison, scope, Units.single(comparison))
    for batch in batches:
        yield from map(PackedTargets.to_stream, router.route(batch))


def visited(targets: PackedTargets, n_clusters: int) -> npt.NDArray[np.bool_]:
    """Tell in which clusters targets are compared.

    Parameters
    ----------
    targets
        The targets.
    n_clusters
        Number of clusters, k.

    Returns
    -------
    npt.NDArray[np.bool_]
        (k,) bool. Whether a target is in the cluster or visits it.
    """
    table = pa.Table.from_batches(targets.batches())
    there = np.zeros(n_clusters, dtype=bool)
    there[pc.list_flatten(table.column(TILE)).to_numpy()] = True
    return there


def compare_where_read(
    rows: DataFrame, comparison: Comparison, scope: Scope, carrier: Broadcast
) -> DataFrame:
    """Compare the targets with the other rows in the tasks that read these.

    Parameters
    ----------
    rows
        As :func:`~transforms.score.route.route_rows` takes them. Targets among them are skipped.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    carrier
        The targets.

    Returns
    -------
    DataFrame
        Partial scores of the targets, as
        :func:`~transforms.score.compare_units.compare_units` returns them.
    """
    ranked = ranked_rows(rows.filter(~F.col(TARGET)), comparison)
    id_type = rows.schema[s.ID].dataType.simpleString()
    schema = partial_schema(id_type, rank_key_type(comparison.rank_by))
    light = comparison.within_units()

    def compare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for lines in scores_by_others(batches, comparison, scope, carrier):
            yield from lines.to_batches()

    def compare_themselves(_: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from scores_by_each_other(light, scope, carrier).to_batches()

    one_task = rows.sparkSession.range(0, 1, 1, 1)
    themselves = map_batches(one_task, compare_themselves, schema)
    return map_batches(ranked, compare, schema).unionByName(themselves)


def scores_by_others(
    batches: Iterable[pa.RecordBatch], comparison: Comparison, scope: Scope, carrier: Broadcast
) -> Iterator[pa.Table]:
    """A UDF's body: compare the targets with rows that are no targets.

    Parameters
    ----------
    batches
        Other rows, as :class:`~transforms.score.route.Router` takes them.
    comparison
        How rows are compared.
    scope
        Whose scores are wanted.
    carrier
        The targets.

    Yields
    ------
    pa.Table
        Partial scores of the targets for which something was found, and the line of the unit.
    """
    targets = carrier.targets.batches()
    router = Router(comparison, scope, carrier.packing, device=comparison.device)
    onto = UnitComparer(comparison, others_only=True, settled=True, counts_visits=False)
    room = carrier.unit_rows - _n_vectors(targets)
    for held in _held(batches, router, room):
        lines = onto.compare(pa.Table.from_batches([*targets, *held]))
        # Every target has a line from the task that compares them with each other.
        nothing = pc.and_(pc.is_null(lines.column(s.NEIGHBOR_ID)), pc.is_valid(lines.column(s.ID)))
        yield lines.filter(pc.invert(nothing))


def scores_by_each_other(comparison: Comparison, scope: Scope, carrier: Broadcast) -> pa.Table:
    """A UDF's body: compare the targets with each other.

    Parameters
    ----------
    comparison
        How rows are compared.
    scope
        Whose scores are wanted. Targets of a reference are not compared with each other.
    carrier
        The targets.

    Returns
    -------
    pa.Table
        One line for each target, then the line of the unit.
    """
    # Which rows are together in a task depends on files and cores: no result may depend on that.
    unit = UnitComparer(comparison, isinstance(scope, AgainstReference), settled=True)
    return unit.compare(pa.Table.from_batches(carrier.targets.batches()))


def _n_vectors(packed: Iterable[pa.RecordBatch]) -> int:
    return sum(pc.sum(pc.binary_length(batch.column(HASHES))).as_py() // 8 for batch in packed)


def _held(
    batches: Iterable[pa.RecordBatch], router: Router, room: int
) -> Iterator[list[pa.RecordBatch]]:
    """Packed rows, as many at a time as there is room for, or those of one batch."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        more = list(router.route(batch))
        if held and _n_vectors(held) + _n_vectors(more) > room:
            yield held
            held = []
        held += more
    if held:
        yield held
