"""Text that is not UTF-8, which Spark lets pass, stops neither training nor an export."""

from __future__ import annotations

import json
import tarfile

import pyarrow as pa
import pytest

from semdedup_spark.exports.huggingface import export_dataset
from semdedup_spark.exports.shards import export_shards
from semdedup_spark.tables.delta_files import open_version, python_rows

deltalake = pytest.importorskip("deltalake")
ROWS = [
    {"id": "a", "title": None, "n": 1},
    {"id": "b\ufffd\ufffdc", "title": "x\ufffd", "n": 2},
    {"id": "c", "title": "\u00fc", "n": 3},
]


def texts(*values):
    """A column of texts with these bytes; Arrow does not check them here."""
    return pa.array(values, pa.binary()).view(pa.string())


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    place = str(tmp_path_factory.mktemp("lake") / "pruned")
    columns = {
        "id": texts(b"a", b"b\xff\xfec", b"c"),
        "title": texts(None, b"x\xc3", "\u00fc".encode()),
        "n": [1, 2, 3],
    }
    deltalake.write_deltalake(place, pa.table(columns))
    return place


def test_bytes_that_are_no_text_are_replaced_wherever_a_text_can_be():
    bad = texts(b"\xff", b"b", None)
    structs = pa.StructArray.from_arrays([bad, pa.array([b"\xff", b"", None])], ["s", "bytes"])
    columns = {
        "text": bad,
        "large": pa.array([b"\xff", b"b", None], pa.large_binary()).view(pa.large_string()),
        "bytes": pa.array([b"\xff", b"\x00", None]),
        "struct": structs,
        "list": pa.ListArray.from_arrays([0, 2, 2, 3], bad),
        "structs": pa.ListArray.from_arrays([0, 1, 1, 2], structs),
        "map": pa.MapArray.from_arrays([0, 1, 1, 2], texts(b"k\xff", b"k"), texts(b"\xff", None)),
        "n": pa.array([1.5, None, 2.5]),
    }
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    first, second, third = python_rows(batch)
    assert first == {
        "text": "\ufffd",
        "large": "\ufffd",
        "bytes": b"\xff",
        "struct": {"s": "\ufffd", "bytes": b"\xff"},
        "list": ["\ufffd", "b"],
        "structs": [{"s": "\ufffd", "bytes": b"\xff"}],
        "map": [("k\ufffd", "\ufffd")],
        "n": 1.5,
    }
    assert [second, third] == batch.slice(1).to_pylist() == python_rows(batch.slice(1))


def test_datasets_for_torch_give_every_row(lake):
    pytest.importorskip("torch")
    from semdedup_spark.torch import DeduplicatedDataset, DeduplicatedStream

    assert list(DeduplicatedDataset(lake)) == ROWS
    assert list(DeduplicatedStream(lake, shuffle=False)) == ROWS


def test_exports_hold_every_row(lake, tmp_path):
    pytest.importorskip("webdataset")
    table = open_version(lake)
    (shard,) = export_shards(table, tmp_path / "s", content="title", rows_per_shard=9)
    with tarfile.open(shard) as tar:
        parts = {name: tar.extractfile(name).read() for name in tar.getnames()}
    held = [json.loads(part) for name, part in parts.items() if name.endswith("json")]
    assert held == [{"id": row["id"], "n": row["n"]} for row in ROWS]
    assert [part.decode() for name, part in parts.items() if name.endswith("txt")] == [
        "x\ufffd",
        "\u00fc",
    ]


def test_a_folder_for_hugging_face_holds_every_row(lake, tmp_path):
    datasets = pytest.importorskip("datasets")
    export_dataset(open_version(lake), tmp_path / "hf")
    assert list(datasets.load_from_disk(str(tmp_path / "hf"))) == ROWS
