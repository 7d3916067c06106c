"""Export for Hugging Face datasets: a folder for ``load_from_disk``, or Parquet files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.exports.folders import new_folder
from semdedup_spark.tables.delta_files import (
    TableVersion,
    python_rows,
    read_batches,
    require_columns,
    without_rows,
)

_BATCH_ROWS = 256
_GROUP_BYTES = 32 << 20


def export_dataset(table: TableVersion, target: Path, *, image: str | None = None) -> None:
    """Write a folder that ``datasets.load_from_disk(target)`` loads.

    Rows keep the order of the table's files. Raises :class:`SourceError` where ``target`` exists,
    where the table has no column ``image``, or where it has no rows.

    Parameters
    ----------
    table
        Table at a pinned version.
    target
        Folder to create. It must not exist.
    image
        Name of a column of encoded images. It becomes an ``Image`` feature.
    """
    import datasets

    features = datasets.Features.from_arrow_schema(_schema(table))
    if image is not None:
        require_columns(table, [image])
        features[image] = datasets.Image()

    def generate() -> Iterator[dict[str, Any]]:
        for group in table.row_groups:
            for batch in read_batches(table, group, batch_rows=_BATCH_ROWS):
                yield from python_rows(batch)

    with new_folder(target) as folder:
        cache = folder / "cache"  # By default the cache would be in the home directory.
        made = datasets.Dataset.from_generator(
            generate,
            features=features,
            cache_dir=str(cache),
            fingerprint=f"semdedup{table.version}",
            writer_batch_size=_BATCH_ROWS,
        )
        made.save_to_disk(str(folder / "data"))
        del made
        for file in (folder / "data").iterdir():
            file.rename(folder / file.name)
        (folder / "data").rmdir()
        shutil.rmtree(cache)


def export_parquet(table: TableVersion, target: Path, *, rows_per_file: int) -> list[Path]:
    """Write the table as Parquet files ``target/part-00000.parquet`` and so on.

    Columns are unchanged and rows keep the order of the table's files. Any Parquet reader reads the
    files, for example ``load_dataset("parquet", data_dir=target)``. Raises :class:`SourceError`
    where ``target`` exists or the table has no rows.

    Parameters
    ----------
    table
        Table at a pinned version.
    target
        Folder to create. It must not exist.
    rows_per_file
        Rows in each file. The last file may have fewer.

    Returns
    -------
    list[Path]
        The files written, in order.
    """
    names: list[str] = []
    with new_folder(target) as folder:
        for number, pieces in groupby(_pieces(table, rows_per_file), key=itemgetter(0)):
            names.append(f"part-{number:05d}.parquet")
            _write_file(folder / names[-1], (piece for _, piece in pieces))
        _require_any(names, table)
    return [target / name for name in names]


def _require_any(files: list[str], table: TableVersion) -> None:
    if not files:
        raise without_rows(table)


def _write_file(path: Path, pieces: Iterator[pa.RecordBatch]) -> None:
    """Write pieces as row groups of about 32 MiB: one group per piece is slow to read."""
    held, size = [next(pieces)], 0
    with pq.ParquetWriter(path, held[0].schema, compression="zstd") as writer:
        for piece in pieces:
            held.append(piece)
            size += piece.nbytes
            if size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(held))
                held, size = [], 0
        if held:
            writer.write_table(pa.Table.from_batches(held))


def _pieces(table: TableVersion, rows_per_file: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (file number, batch). Batches are cut where a file ends."""
    place = 0
    for batch in _batches(table):
        start = 0
        while start < batch.num_rows:
            room = rows_per_file - place % rows_per_file
            piece = batch.slice(start, room)
            yield place // rows_per_file, piece
            start += piece.num_rows
            place += piece.num_rows


def _batches(table: TableVersion) -> Iterator[pa.RecordBatch]:
    for group in table.row_groups:
        yield from read_batches(table, group, batch_rows=_BATCH_ROWS)


def _schema(table: TableVersion) -> pa.Schema:
    for batch in _batches(table):
        return batch.schema.remove_metadata()
    raise without_rows(table)
