"""Tar shards in the webdataset layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from semdedup_spark.exports.folders import new_folder
from semdedup_spark.tables.delta_files import TableVersion, read_batches, require_columns

Row = dict[str, Any]
_BATCH_ROWS = 256
# What the first bytes of a picture say, and what webdataset decodes it by.
_ENDINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp"}


def export_shards(
    table: TableVersion, target: Path, *, content: str | None, rows_per_shard: int
) -> list[Path]:
    """Write ``target/00000.tar`` and so on, in the order of the table's files; the shards.

    A sample has the row's place in the table as its key, the column ``content`` (bytes, or text)
    as a member named by what it is (``jpg``, ``png``, ``txt``, else ``bin``), and all other columns
    in ``json``. Memory holds one batch; the same version gives the same bytes.
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
            yield from batch.to_pylist()


def _chained(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _sample(row: Row, place: int, content: str | None) -> Row:
    sample: Row = {"__key__": f"{place:09d}"}
    if content is not None:
        payload = row.pop(content)
        if isinstance(payload, dict):  # an image as Hugging Face writes it
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
