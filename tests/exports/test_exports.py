"""Exports: every row, aligned, readable by the library that the format belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from semdedup_spark.cli import cli
from semdedup_spark.datasets.pictures import to_png
from semdedup_spark.errors import SourceError
from semdedup_spark.exports.huggingface import export_parquet
from semdedup_spark.exports.shards import export_shards
from semdedup_spark.tables.delta_files import open_version

deltalake = pytest.importorskip("deltalake")
N = 53


def picture(number):
    return np.full((4, 4, 3), number, dtype=np.uint8)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    place = str(tmp_path_factory.mktemp("lake") / "pruned")
    for part in (range(30), range(30, N)):
        rows = {
            "id": [f"row/{i}.x" for i in part],  # neither a file name nor a key
            "label": list(part),
            "image": [to_png(picture(i)) for i in part],
        }
        deltalake.write_deltalake(place, pa.table(rows), mode="append")
    return place


def test_shards_hold_every_row_once_with_its_own_picture(lake, tmp_path):
    wds = pytest.importorskip("webdataset")
    shards = export_shards(
        open_version(lake), tmp_path / "shards", content="image", rows_per_shard=20
    )
    assert [path.name for path in shards] == ["00000.tar", "00001.tar", "00002.tar"]
    urls = [str(path) for path in shards]
    samples = list(wds.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert sorted(s["json"]["label"] for s in samples) == list(range(N))
    for sample in samples:
        number = sample["json"]["label"]
        assert sample["json"]["id"] == f"row/{number}.x"
        assert np.array_equal(sample["png"], picture(number))
    assert len({s["__key__"] for s in samples}) == N


def test_shards_of_one_version_are_the_same_bytes(lake, tmp_path):
    pytest.importorskip("webdataset")
    version = open_version(lake)
    made = [
        export_shards(version, tmp_path / name, content="image", rows_per_shard=100)[0].read_bytes()
        for name in ("a", "b")
    ]
    assert made[0] == made[1]


def test_load_from_disk_gives_the_rows_with_decoded_pictures(lake, tmp_path):
    datasets = pytest.importorskip("datasets")
    words = ["export", "--table", lake, "--to", "huggingface", "--content", "image", "--output"]
    shown = CliRunner().invoke(cli, [*words, str(tmp_path / "hf")])
    assert shown.exit_code == 0, shown.output
    loaded = datasets.load_from_disk(str(tmp_path / "hf"))
    assert sorted(loaded["label"]) == list(range(N))
    for row in loaded:
        assert np.array_equal(np.asarray(row["image"]), picture(row["label"]))
    assert not (tmp_path / "hf" / "cache").exists()


def test_parquet_files_have_the_same_columns_and_so_many_rows(lake, tmp_path):
    files = export_parquet(open_version(lake), tmp_path / "p", rows_per_file=17)
    tables = [ds.dataset(file).to_table() for file in files]
    assert [len(t) for t in tables] == [17, 17, 17, 2]
    rows = pa.concat_tables(tables)
    assert rows.column_names == ["id", "label", "image"]
    assert sorted(rows["label"].to_pylist()) == list(range(N))


def test_a_version_can_be_exported_and_a_folder_that_is_there_is_left_alone(lake, tmp_path):
    export_parquet(open_version(lake, 0), tmp_path / "p", rows_per_file=100)
    assert ds.dataset(tmp_path / "p").count_rows() == 30
    with pytest.raises(SourceError, match="must not exist yet"):
        export_parquet(open_version(lake), tmp_path / "p", rows_per_file=100)
    assert ds.dataset(tmp_path / "p").count_rows() == 30


def test_rows_lie_in_few_row_groups_and_a_table_without_rows_is_refused(lake, tmp_path):
    place = str(tmp_path / "many")
    deltalake.write_deltalake(place, pa.table({"id": range(3000)}))
    files = export_parquet(open_version(place), tmp_path / "out", rows_per_file=2500)
    assert [pq.read_metadata(file).num_row_groups for file in files] == [1, 1]
    assert [pq.read_metadata(file).num_rows for file in files] == [2500, 500]
    deltalake.write_deltalake(place, pa.table({"id": pa.array([], pa.int64())}), mode="overwrite")
    with pytest.raises(SourceError, match="must have rows"):
        export_parquet(open_version(place), tmp_path / "none", rows_per_file=10)
    assert not (tmp_path / "none").exists()


def test_a_failed_export_leaves_no_folder(lake, tmp_path):
    with pytest.raises(SourceError, match="lacks caption"):
        export_shards(open_version(lake), tmp_path / "s", content="caption", rows_per_shard=5)
    assert not (tmp_path / "s").exists()
