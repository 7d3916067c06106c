"""Vectors in ``.npy`` files on a path that all workers share.

Workers map the files into memory, so a task reads only its own rows. Rows are numbered across all
files in the order of the file names. ``source.metadata`` may add, for each file of vectors, a file
of ids or a Parquet file of columns, as clip-retrieval writes them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    FloatType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from semdedup_spark.config import CONTENT_HASH, SourceConfig, fingerprint
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import absolute, as_pattern, local
from semdedup_spark.schema import quoted
from semdedup_spark.sources.formats.file_pairs import pair
from semdedup_spark.sources.formats.folder import file_name, one_slash
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from semdedup_spark.sources.formats.npy_values import refuse_surrogates, to_column, values_at
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.raw_source import RawSource, Roles
from semdedup_spark.visible import masked_repr

_ROW, _VECTOR, _ID = "row", "vector", "id"
# Names that are added to the columns of the metadata, some of them only between two steps.
_RESERVED = {_ROW, _VECTOR, "_metadata", "__file", "__start", "__at"}
_TASK_BYTES = 128 << 20
_FEWEST_TASKS = 8


@masked_repr
@dataclass(frozen=True)
class _Files:
    """Files whose rows are numbered as if the files were one.

    Attributes
    ----------
    paths
        The files in order.
    starts
        (n_files + 1,). Number of the first row of each file, then the number of all rows.
    """

    paths: list[str]
    starts: list[int]

    @property
    def n_rows(self) -> int:
        return self.starts[-1]


def read_npy(spark: SparkSession, source: SourceConfig) -> RawSource:
    """Open ``.npy`` files of vectors, and their metadata if any.

    Parameters
    ----------
    spark
        The session that reads the rows.
    source
        A source of format npy.

    Returns
    -------
    RawSource
        Columns ``row`` (bigint, the row's number), ``vector`` (array<float>, or array<double> if a
        file holds float64), and the columns of the metadata.

    Notes
    -----
    Raises :class:`SourceError` if files are missing or damaged, if their shapes do not agree, or
    if the metadata do not go with the vectors.
    """
    vectors, dimension, number = _vector_files(source.path or "")
    beside = _metadata_files(source.metadata, vectors) if source.metadata is not None else None
    ids = beside if beside is not None and beside.paths[0].endswith(".npy") else None
    tables = None if beside is None or ids is not None else _metadata_rows(spark, beside)

    def keys(begin: int, end: int) -> DataFrame:
        if tables is not None:
            return tables.filter((F.col(_ROW) >= begin) & (F.col(_ROW) < end))
        rows = _rows(spark, begin, end, dimension)
        return rows if ids is None else _appended(rows, ids, _ID, _id_type(ids))

    def part(begin: int, end: int) -> DataFrame:
        first, last = (-(-vectors.n_rows * place // END_OF_PLACES) for place in (begin, end))
        return _appended(keys(first, last), vectors, _VECTOR, ArrayType(number))

    every = [path for files in (vectors, beside) if files is not None for path in files.paths]
    key = _ID if ids is not None and source.id is None else source.id or _ROW
    named = keys(0, vectors.n_rows)
    return RawSource(
        df=part(0, END_OF_PLACES),
        fingerprint=lambda: _fingerprint(every),
        roles=Roles(None if key == CONTENT_HASH else key, _VECTOR, own=named.columns),
        check=lambda: refuse_surrogates([] if ids is None else ids.paths),
        part=part,
        keys=None if key == CONTENT_HASH else named,
        unique_ids=key == _ROW,
        n_rows=vectors.n_rows,
        dimension=dimension,
    )


def _rows(spark: SparkSession, begin: int, end: int, dimension: int) -> DataFrame:
    n_tasks = max(_FEWEST_TASKS, (end - begin) * dimension * 4 // _TASK_BYTES)
    return spark.range(begin, end, 1, n_tasks).withColumnRenamed("id", _ROW)


def _appended(rows: DataFrame, files: _Files, name: str, kind: DataType) -> DataFrame:
    """``rows`` with one more column: the value that ``files`` hold at the row's number."""
    schema = StructType([*rows.schema.fields, StructField(name, kind)])
    wide = kind == ArrayType(DoubleType())
    return rows.mapInArrow(_lookup(files, rows.columns.index(_ROW), name, wide=wide), schema)


def _lookup(
    files: _Files, row_column: int, name: str, *, wide: bool
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def look_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        opened: dict[int, np.ndarray] = {}
        for batch in batches:
            rows = batch.column(row_column).to_numpy()
            found = values_at(files.paths, files.starts, rows, opened)
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, to_column(found, wide=wide)], names=[*batch.schema.names, name]
            )

    return look_up


def _vector_files(path: str) -> tuple[_Files, int, DataType]:
    paths = _found(path, "source.path", (".npy",))
    headers = [_header(file, "source.path") for file in paths]
    first = headers[0]
    for file, header in zip(paths, headers, strict=True):
        wrong = header.ndim != 2 or header.dtype.kind != "f" or header.dtype.itemsize > 8
        if wrong or header.shape[1] != first.shape[1] or header.shape[1] == 0:
            raise SourceError(
                "source.path must hold .npy files of float16, float32 or float64, of shape (n, d) "
                f"with one d. Got {header.dtype} of shape {header.shape} in {file}, and "
                f"{first.dtype} of shape {first.shape} in {paths[0]}.",
                hint="name only the files of vectors, such as img_emb/*.npy.",
            )
    files = _Files(paths, _starts([len(header) for header in headers]))
    wide = any(header.dtype.itemsize == 8 for header in headers)
    return files, int(first.shape[1]), DoubleType() if wide else FloatType()


def _metadata_files(path: str, vectors: _Files) -> _Files:
    paths = _found(path, "source.metadata", (".npy", ".parquet"))
    # One named file for one file of vectors is a pair, whatever the names.
    named = len(vectors.paths) == 1 and os.path.isfile(local(absolute(path)) or "")
    paired = paths if named else pair(vectors.paths, paths)
    if len({os.path.splitext(file)[1] for file in paths}) > 1 or paired is None:
        raise SourceError(
            "source.metadata must have one format and one file for each file of vectors. Both "
            "sides must be numbered alike, as in img_emb_0.npy and metadata_0.parquet. "
            f"Got {len(paths)} files, {_some(paths)}, for "
            f"{len(vectors.paths)} files of vectors, {_some(vectors.paths)}.",
            hint="check that no file is missing, number both sides alike, or name one file each.",
        )
    counts = list(map(_count, paired))
    for file, beside, n, n_beside in zip(
        vectors.paths, paired, np.diff(vectors.starts).tolist(), counts, strict=True
    ):
        if n != n_beside:
            raise SourceError(
                "source.metadata must have a row for each vector. "
                f"Got {n_beside:,} rows in {beside} for {n:,} vectors in {file}.",
                hint="check that both files are whole and were written together.",
            )
    return _Files(paired, _starts(counts))


def _count(file: str) -> int:
    if file.endswith(".npy"):
        return len(_header(file, "source.metadata"))
    try:
        return int(pq.ParquetFile(file).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"source.metadata must hold complete Parquet files. Got {file}: {error}",
            hint="write the file again.",
        ) from error


def _some(paths: list[str]) -> str:
    names = [os.path.basename(path) for path in paths]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _found(path: str, key: str, endings: tuple[str, ...]) -> list[str]:
    place = local(absolute(path))
    if place is None:
        raise SourceError(
            f"{key} must be a local or mounted path that every worker can open, because .npy files "
            f"are mapped into memory. Got {path!r}.",
            hint="mount the bucket, or convert the vectors to Parquet.",
        )
    # A path that exists is taken as it is, even with brackets in its name. Any other is a pattern.
    pattern = glob.escape(place) if os.path.exists(place) else place
    pattern = os.path.join(pattern, "**", "*") if os.path.isdir(place) else pattern
    paths = sorted(p for p in glob.glob(pattern, recursive=True) if p.endswith(endings))
    if not paths:
        raise SourceError(
            f"{key} must match files that end with {' or '.join(endings)}. Got {path!r}, which "
            "matches none.",
            hint="check the path and, if it is relative, the working directory.",
        )
    return paths


def _header(file: str, key: str) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SourceError(
            f"{key} must hold whole .npy files of numbers or strings. Got {file}: {error}",
            hint="save arrays of Python objects as strings: they are pickles, which are not read.",
        ) from error


def _id_type(ids: _Files) -> DataType:
    texts = set()
    for path in ids.paths:
        kind = _header(path, "source.metadata")
        texts.add(kind.dtype.kind in "US")
        numbers = kind.dtype.kind in "iu" and np.can_cast(kind.dtype, np.int64)
        if kind.ndim != 1 or not (kind.dtype.kind in "US" or numbers) or len(texts) > 1:
            raise SourceError(
                "source.metadata must hold ids of one kind in all files: strings, or whole numbers "
                f"that fit int64. Got {kind.dtype} of shape {kind.shape} in {path}.",
                hint="save the ids as int64 or as strings, one for each vector.",
            )
    return StringType() if texts == {True} else LongType()


def _metadata_rows(spark: SparkSession, tables: _Files) -> DataFrame:
    """The columns of the Parquet files and the number of each row."""
    # Without mergeSchema, columns that only some of the files have would be lost.
    reader = spark.read.option("mergeSchema", "true")
    rows = reader.parquet(*(as_pattern(f"file:{path}") for path in tables.paths))
    names = rows.inputFiles()
    refuse_files_of_tables(spark, names, "source.metadata")
    if len(names) != len(tables.paths):
        raise SourceError(
            "source.metadata must hold Parquet files whose names do not begin with _ or a dot, "
            f"because Spark skips those. It reads {len(names)} of {len(tables.paths)} files.",
            hint="rename the files.",
        )
    taken = _RESERVED & {name.lower() for name in rows.columns}
    if taken:
        raise SourceError(
            f"source.metadata must have no column {' or '.join(sorted(taken))}, because the reader "
            "adds a column of that name.",
            hint="rename the column in the Parquet files.",
        )
    start_of = dict(zip(tables.paths, tables.starts[:-1], strict=True))
    starts = [
        (one_slash(name), start_of["/" + unquote(name).partition(":")[2].lstrip("/")])
        for name in names
    ]
    begins = F.broadcast(spark.createDataFrame(starts, "__file string, __start bigint"))
    at = F.col("_metadata.row_index").alias("__at")
    of_file = rows.select("*", file_name().alias("__file"), at).join(begins, "__file")
    row = (F.col("__start") + F.col("__at")).alias(_ROW)
    return of_file.select(row, *(F.col(quoted(name)) for name in rows.columns))


def _starts(counts: list[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()]


def _fingerprint(paths: list[str]) -> str:
    seen = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in paths]
    return f"files:{len(seen)}:{sum(size for _, size, _ in seen)}:{fingerprint(seen)[:16]}"
