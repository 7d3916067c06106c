"""Packed rows: one packed row for all rows of an Arrow batch that visit one unit.

It holds lists of their keys and one binary matrix of their vectors, in which equal vectors appear
once. Moving vectors costs more than multiplying them; packed, they cross the shuffle as a few large
values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semdedup_spark import schema as s
from semdedup_spark.kernels.vectors import FloatArray, HashArray, IndexArray, unpack

UNIT = "unit"
TILE = "tile"
ROLE = "role"
CUT = "cut"
# Whether the row's score is wanted.
TARGET = "target"
# The row's cluster, where it is known before rows are assigned.
LABEL = "label"
VECTOR = "vector"
VECTORS = "vectors"
HASHES = "hashes"
KEY_COLUMNS = (s.ID, s.BATCH, s.CLUSTER_ID, s.CENTROID_SIMILARITY, s.RANK_KEY)
# Lists with one entry per visiting row, and lists of what clusters were not visited by whom.
VISIT_COLUMNS = (*KEY_COLUMNS, TARGET, TILE, ROLE, CUT)
NOTICE_HOME, NOTICE_TILE, NOTICE_DISTANCE = "notice_home", "notice_tile", "notice_distance"
NOTICE_COLUMNS = (NOTICE_HOME, NOTICE_TILE, NOTICE_DISTANCE)
# Bytes of vectors in one Arrow batch: a row that visits many units is copied for each.
_MOST_BYTES = 32 * 2**20


def packed_schema(id_type: str, rank_type: str) -> str:
    """Tell the columns of a packed row.

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
    types = {
        s.ID: id_type,
        s.BATCH: "int",
        s.CLUSTER_ID: "int",
        s.CENTROID_SIMILARITY: "float",
        s.RANK_KEY: rank_type,
        TARGET: "boolean",
        TILE: "int",
        ROLE: "tinyint",
        CUT: "boolean",
        VECTOR: "int",
        NOTICE_HOME: "int",
        NOTICE_TILE: "int",
        NOTICE_DISTANCE: "float",
    }
    lists = (*VISIT_COLUMNS, VECTOR, *NOTICE_COLUMNS)
    columns = ", ".join(f"{name} array<{types[name]}>" for name in lists)
    return f"{UNIT} int, {columns}, {VECTORS} binary, {HASHES} binary"


@dataclass(frozen=True)
class Vectors:
    """Vectors and their hashes.

    Attributes
    ----------
    X
        (n, d) float32. Unit rows.
    hashes
        (n,) uint64. Hashes of the rows of ``X``.
    """

    X: FloatArray
    hashes: HashArray


@dataclass(frozen=True)
class ByUnit:
    """Visits or notices, in ascending order of their units.

    Attributes
    ----------
    unit
        (m,) int64. Unit of each line.
    columns
        The m lines.
    """

    unit: IndexArray
    columns: pa.Table

    def bounds(self, units: IndexArray) -> IndexArray:
        """Find where the lines of units begin.

        Parameters
        ----------
        units
            Units in ascending order.

        Returns
        -------
        IndexArray
            (len(units) + 1,) int64. Where the lines of each unit begin, and where the last ones
            end.
        """
        starts = np.searchsorted(self.unit, units)
        ends = np.searchsorted(self.unit, units[-1:], side="right")
        return np.concatenate([starts, ends])


def pack_rows(
    visits: ByUnit,
    vector: IndexArray,
    notices: ByUnit,
    vectors: Vectors,
    unit_keys: npt.NDArray[np.int32],
) -> Iterator[pa.RecordBatch]:
    """Pack rows, in batches of bounded size.

    Parameters
    ----------
    visits
        One line per visit.
    vector
        (visits,) int64. Position of the vector of each visit in ``vectors``.
    notices
        One line per notice of a visit that was cut.
    vectors
        The vectors of the Arrow batch.
    unit_keys
        (units,) int32. Value of the column ``unit`` for each unit.

    Yields
    ------
    pa.RecordBatch
        Packed rows, one per unit.
    """
    units = np.union1d(visits.unit, notices.unit)
    size = np.diff(visits.bounds(units)) * vectors.X.shape[1] * 4
    group = np.cumsum(size) // _MOST_BYTES
    for some in np.split(units, np.flatnonzero(np.diff(group)) + 1):
        at = visits.bounds(some)
        numbers, matrices, hashes = _matrices(vector, at, vectors)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(unit_keys[some]),
                *_lists(visits.columns, at),
                pa.ListArray.from_arrays(pa.array(at - at[0], pa.int32()), numbers),
                *_lists(notices.columns, notices.bounds(some)),
                matrices,
                hashes,
            ],
            names=[UNIT, *VISIT_COLUMNS, VECTOR, *NOTICE_COLUMNS, VECTORS, HASHES],
        )


def _lists(columns: pa.Table, at: IndexArray) -> list[pa.ListArray]:
    here = columns.slice(at[0], at[-1] - at[0]).combine_chunks()
    offsets = pa.array(at - at[0], pa.int32())
    return [
        pa.ListArray.from_arrays(offsets, _one_chunk(here.column(name)))
        for name in columns.column_names
    ]


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _matrices(
    vector: IndexArray, at: IndexArray, vectors: Vectors
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """(number of each visit's vector in its unit's matrix, the matrices, their rows' hashes)."""
    n, d = vectors.X.shape
    turn = np.repeat(np.arange(len(at) - 1), np.diff(at))
    pairs, inverse = np.unique(turn * n + vector[at[0] : at[-1]], return_inverse=True)
    starts = np.searchsorted(pairs, np.arange(len(at)) * n)
    numbers = (inverse.reshape(-1) - starts[turn]).astype(np.int32)
    rows = pairs % n
    # The matrices of all units are one gathered array, cut by offsets: nothing is copied twice.
    matrices = _cut(vectors.X[rows].astype("<f4", copy=False), starts * (4 * d))
    hashes = _cut(vectors.hashes[rows].astype("<u8", copy=False), starts * 8)
    return pa.array(numbers), matrices, hashes


def _cut(values: np.ndarray, at: IndexArray) -> pa.Array:
    """The bytes of ``values`` as binary values that begin, and end, ``at``."""
    offsets = pa.py_buffer(at.astype(np.int32))
    return pa.Array.from_buffers(
        pa.binary(), len(at) - 1, [None, offsets, pa.py_buffer(np.ascontiguousarray(values))]
    )


@dataclass(frozen=True)
class PackedTargets:
    """Packed targets, few enough to be sent to every task.

    Attributes
    ----------
    streams
        Packed rows as Arrow IPC streams.
    """

    streams: tuple[bytes, ...]

    @staticmethod
    def to_stream(packed: pa.RecordBatch) -> bytes:
        """Serialize packed rows.

        Parameters
        ----------
        packed
            One packed row, or several.

        Returns
        -------
        bytes
            An entry of ``streams``.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, packed.schema) as writer:
            writer.write_batch(packed)
        return bytes(sink.getvalue())

    def batches(self) -> list[pa.RecordBatch]:
        """Deserialize the packed rows.

        Returns
        -------
        list[pa.RecordBatch]
            The packed rows.
        """
        return [batch for stream in self.streams for batch in pa.ipc.open_stream(stream)]


@dataclass(frozen=True)
class UnpackedUnit:
    """All packed rows of one unit, concatenated.

    Attributes
    ----------
    visits
        One line per visit: ``VISIT_COLUMNS``, and ``VECTOR``, a position in ``vectors``.
    notices
        One line per notice: ``NOTICE_COLUMNS``.
    vectors
        The vectors of all packed rows.
    """

    visits: pa.Table
    notices: pa.Table
    vectors: Vectors


def unpack_unit(table: pa.Table, dimension: int) -> UnpackedUnit:
    """Concatenate the packed rows of one unit.

    Parameters
    ----------
    table
        All packed rows of the unit.
    dimension
        Numbers in a vector, d.

    Returns
    -------
    UnpackedUnit
        Visits, notices and vectors.
    """
    visits = {name: pc.list_flatten(table.column(name)) for name in (*VISIT_COLUMNS, VECTOR)}
    notices = {name: pc.list_flatten(table.column(name)) for name in NOTICE_COLUMNS}
    matrix_rows = pc.binary_length(table.column(VECTORS)).to_numpy() // (4 * dimension)
    list_sizes = pc.list_value_length(table.column(VECTOR)).to_numpy()
    first = np.repeat(np.cumsum(matrix_rows) - matrix_rows, list_sizes)
    visits[VECTOR] = pa.array(visits[VECTOR].to_numpy().astype(np.int64) + first)
    matrices = [unpack(value.as_buffer(), dimension) for value in table.column(VECTORS)]
    hashes = [np.frombuffer(value.as_buffer(), "<u8") for value in table.column(HASHES)]
    vectors = Vectors(_joined(matrices), np.concatenate(hashes).astype(np.uint64, copy=False))
    return UnpackedUnit(pa.table(visits), pa.table(notices), vectors)


def _joined(matrices: list[FloatArray]) -> FloatArray:
    return np.concatenate(matrices) if len(matrices) > 1 else matrices[0]
