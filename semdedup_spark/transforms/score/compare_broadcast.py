"""Few targets are sent to all other rows, so that these need not be shuffled to them.

Each task holds all targets, packed as they would be for one unit that has a tile of every cluster,
and compares them with the rows that it reads. One task more compares them with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches
from semdedup_spark.transforms.score.compare_units import Comparing, partial_schema
from semdedup_spark.transforms.score.packed_rows import HASHES, TARGET, TILE, PackedTargets
from semdedup_spark.transforms.score.rank_key import rank_key_type
from semdedup_spark.transforms.score.route import Router, Routing, ranked_rows

# Spark Connect refuses plans of 128 MiB; two tasks of one plan hold the targets, and centroids.
_MOST_BYTES = 32 * 2**20
# Of what is known of a target, in each cluster where it is compared: its keys.
_PLACE_BYTES = 128
# One task compares all of them with each other: seconds of one core.
_MOST_TARGETS = 20_000
_STREAM = "stream"


def can_be_sent(n_places: int, n_targets: int, dimension: int, unit_rows: int) -> bool:
    """Whether targets are few enough to travel with every task, and to lie beside others in the
    memory of a unit, which holds ``unit_rows``. ``n_places``: clusters in which they are compared,
    that of each counted for it.
    """
    n_bytes = n_targets * dimension * 4 + n_places * _PLACE_BYTES
    return n_bytes <= _MOST_BYTES and 0 < n_targets <= min(_MOST_TARGETS, unit_rows // 2)


def collect_targets(targets: DataFrame, routing: Routing, *, seed: int) -> PackedTargets:
    """The targets, on the driver: for a number that :func:`can_be_sent`. Runs one Spark job.

    ``targets``: as :func:`route_rows` takes them; ``routing``: with one unit.
    """
    rows = ranked_rows(targets, routing.rank_by, seed)

    def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for stream in packed_streams(batches, routing):
            yield pa.RecordBatch.from_pydict({_STREAM: pa.array([stream], pa.binary())})

    streams = map_batches(rows, pack, f"{_STREAM} binary").collect()
    return PackedTargets(tuple(bytes(row[0]) for row in streams))


def packed_streams(batches: Iterable[pa.RecordBatch], routing: Routing) -> Iterator[bytes]:
    """The UDF's body: targets to entries of ``PackedTargets``."""
    router = Router(routing)
    for batch in batches:
        yield from map(PackedTargets.to_stream, router.route(batch))


def visited(targets: PackedTargets, n_clusters: int) -> npt.NDArray[np.bool_]:
    """(k,) the clusters that have a target, or get one."""
    table = pa.Table.from_batches(targets.batches())
    there = np.zeros(n_clusters, dtype=bool)
    there[pc.list_flatten(table.column(TILE)).to_numpy()] = True
    return there


def compare_sent(
    rows: DataFrame, routing: Routing, *, seed: int, unit_rows: int, half: bool = False
) -> DataFrame:
    """Partial scores of ``routing.sent``, as :func:`compare_units` makes them of packed rows.

    ``rows``: as :func:`route_rows` takes them, of which the targets are left out; ``unit_rows``:
    most rows that a task holds at a time.
    """
    comparing = settling(routing, half=half)
    others = rows.filter(~F.col(TARGET))
    ranked = ranked_rows(others, routing.rank_by, seed)
    id_type = rows.schema[s.ID].dataType.simpleString()
    schema = partial_schema(id_type, rank_key_type(routing.rank_by))

    def compare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for lines in scores_by_others(batches, routing, comparing, unit_rows=unit_rows):
            yield from lines.to_batches()

    def compare_themselves(_: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from scores_by_each_other(routing, comparing).to_batches()

    one_task = rows.sparkSession.range(0, 1, 1, 1)
    themselves = map_batches(one_task, compare_themselves, schema)
    return map_batches(ranked, compare, schema).unionByName(themselves)


def settling(routing: Routing, *, half: bool = False) -> Comparing:
    """What lies together in a task depends on files and cores: no result may depend on that."""
    return replace(Comparing.of(routing, half=half), settled=True)


def scores_by_others(
    batches: Iterable[pa.RecordBatch], routing: Routing, comparing: Comparing, *, unit_rows: int
) -> Iterator[pa.Table]:
    """A UDF's body: rows that are no targets to what is found of those that are."""
    targets, router = _sent(routing), Router(routing)
    onto = replace(comparing, others_only=True, probes=False)
    room = unit_rows - _n_vectors(targets)
    for held in _held(batches, router, room):
        lines = onto.compare(pa.Table.from_batches([*targets, *held]))
        # Every target has a line from the task that compares them with each other.
        nothing = pc.and_(pc.is_null(lines.column(s.NEIGHBOR_ID)), pc.is_valid(lines.column(s.ID)))
        yield lines.filter(pc.invert(nothing))


def scores_by_each_other(routing: Routing, comparing: Comparing) -> pa.Table:
    """A UDF's body: a line for each target, with the best of the other targets."""
    return comparing.compare(pa.Table.from_batches(_sent(routing)))


def _sent(routing: Routing) -> list[pa.RecordBatch]:
    if routing.sent is None:
        raise ValueError("routing.sent must hold the targets. It is None.")
    return routing.sent.batches()


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
