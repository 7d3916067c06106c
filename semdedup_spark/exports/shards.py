"""Export as tar shards in the webdataset layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from semdedup_spark.exports.folders import new_folder
from semdedup_spark.tables.delta_files import (
    TableVersion,
    python_rows,
    read_batches,
    require_columns,
)

Row = dict[str, Any]
_BATCH_ROWS = 256
# First bytes of an image file, and the member name by which webdataset decodes it.
_ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp"}


def export_shards(
    table: TableVersion, target: Path, *, content: str | None, rows_per_shard: int
) -> list[Path]:
    """Write the table as tar shards ``target/00000.tar`` and so on.

    Rows keep the order of the table's files. The key of a sample is the row's position in the
    table. The column ``content`` becomes a member named by its format (``jpg``, ``png``, ``gif``,
    ``webp``, ``txt``, otherwise ``bin``); all other columns go into the member ``json``. Memory
    holds one batch. The same table version always gives the same bytes. Raises
    :class:`SourceError` where ``target`` exists or the table has no column ``content``.

    Parameters
    ----------
    table
        Table at a pinned version.
    target
        Folder to create. It must not exist.
    content
        Column of bytes or text, or a struct with a field ``bytes``. ``None`` writes ``json`` only.
    rows_per_shard
        Rows in each shard. The last shard may have fewer.

    Returns
    -------
    list[Path]
        The shards written, in order.
    """
    from webdataset import TarWriter

    if content is not None:
        require_columns(table, [content])
    rows = _rows(table)
    names: list[str] = []
    with new_folder(target) as folder:
        place = 0
        for first in rows:
            name = f"{len(names):05d}.tar"
            with (folder / name).open("wb") as file:
                writer = TarWriter(file, mtime=0.0)
                for row in _chained(first, islice(rows, rows_per_shard - 1)):
                    writer.write(_sample(row, place, content))
                    place += 1
                writer.close()
            names.append(name)
    return [target / name for name in names]


def _rows(table: TableVersion) -> Iterator[Row]:
    for group in table.row_groups:
        for batch in read_batches(table, group, batch_rows=_BATCH_ROWS):
            yield from python_rows(batch)


def _chained(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _sample(row: Row, place: int, content: str | None) -> Row:
    sample: Row = {"__key__": f"{place:09d}"}
    if content is not None:
        payload = row.pop(content)
        if isinstance(payload, dict):  # Hugging Face stores an image as a struct.
            payload = payload.get("bytes")
        if payload is not None:
            sample[_ending(payload)] = payload if isinstance(payload, bytes) else payload.encode()
    sample["json"] = json.dumps(row, default=_as_text, ensure_ascii=False).encode()
    return sample


def _ending(payload: bytes | str) -> str:
    if isinstance(payload, str):
        return "txt"
    return next((end for magic, end in _ENDINGS.items() if payload.startswith(magic)), "bin")


def _as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
