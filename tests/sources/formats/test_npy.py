"""Matrices of any float type and layout become rows, without being read as a whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.npy import read_npy
from semdedup_spark.sources.formats.npy_values import refuse_surrogates, to_column, values_at
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from tests.sources.sourcefiles import opened

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 5)).astype(np.float32)


def npy(spark, path, **settings):
    return opened(
        spark,
        kind="vectors",
        format="npy",
        path=str(path),
        **{"id": None, "content": None, **settings},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The rows of X in three files of different types, each with a file of ids and a table."""
    root = tmp_path_factory.mktemp("npy")
    for name in ("emb", "ids", "tables"):
        (root / name).mkdir()
    cuts = [("a", 0, 30, "<f4"), ("b", 30, 31, ">f8"), ("c", 31, 70, "<f4")]
    for name, begin, end, kind in cuts:
        part = X[begin:end].astype(kind)
        np.save(root / "emb" / name, np.asfortranarray(part) if name == "c" else part)
        ids = [f"žluť-{i}" for i in range(begin, end)]
        np.save(root / "ids" / name, np.array(ids))
        table = pa.table({"image_path": ids, "n": pa.array(range(begin, end), pa.int32())})
        pq.write_table(table, root / "tables" / f"{name} 1+%.parquet", row_group_size=7)
    return root


def test_rows_are_numbered_through_all_files(spark, folder):
    source = npy(spark, folder / "emb")
    assert (source.n_read, source.dimension, source.has_id) == (70, 5, True)
    rows = source.rows.orderBy("id").collect()
    assert [row["id"] for row in rows] == list(range(70))
    np.testing.assert_array_equal(np.array([row["payload"] for row in rows], np.float32), X)
    cuts = [0, 1, END_OF_PLACES // 3, END_OF_PLACES]
    parts = [row for begin, end in pairwise(cuts) for row in source.between(begin, end).collect()]
    assert sorted(map(str, parts)) == sorted(map(str, rows))


def test_ids_and_columns_lie_beside_the_vectors(spark, folder):
    source = npy(spark, folder / "emb" / "*.npy", metadata=str(folder / "ids"))
    found = {row["id"]: row["payload"] for row in source.rows.collect()}
    assert found == {f"žluť-{i}": x for i, x in enumerate(X.tolist())}
    source = npy(spark, folder / "emb", metadata=str(folder / "tables"), id="image_path")
    assert source.own_columns == ["row", "image_path", "n"]
    for row in source.rows.collect():
        assert row["payload"] == X[row["source"]["n"]].tolist()
        assert row["id"] == f"žluť-{row['source']['row']}" == f"žluť-{row['source']['n']}"


def test_the_fingerprint_changes_with_a_file(spark, folder, tmp_path):
    np.save(tmp_path / "a.npy", X)
    source = read_npy(spark, SourceConfig(kind="vectors", format="npy", path=str(tmp_path)))
    first = source.fingerprint()
    assert source.fingerprint() == first
    np.save(tmp_path / "a.npy", X[:50])
    assert source.fingerprint() != first


@pytest.mark.parametrize("rows", [[0], [29, 30, 31], [69, 0, 30, 2], [5, 4, 3], list(range(70))])
def test_rows_of_files_laid_end_to_end_come_in_the_order_asked_for(folder, rows):
    paths = [str(folder / "emb" / f"{name}.npy") for name in "abc"]
    found = values_at(paths, [0, 30, 31, 70], np.array(rows), {})
    np.testing.assert_array_equal(found.astype(np.float32), X[rows])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (X[0], r"shape \(n, d\)"),
        (X.astype(np.int8), "int8"),
        (np.array([["a"]], object), "pickles, which are not read"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(spark, tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(SourceError, match=words):
        npy(spark, tmp_path)


def test_a_cut_file_another_width_and_missing_metadata_are_refused(spark, folder, tmp_path):
    np.save(tmp_path / "a.npy", X)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-8])
    with pytest.raises(SourceError, match=r"whole \.npy files"):
        npy(spark, tmp_path)
    (tmp_path / "a.npy").write_bytes(whole)
    np.save(tmp_path / "ids.npy", np.arange(70))
    with pytest.raises(
        SourceError, match=r"1 files, ids\.npy, for 3 files of vectors, a\.npy, b\.npy, c\.npy"
    ):
        npy(spark, folder / "emb", metadata=str(tmp_path / "ids.npy"))
    np.save(tmp_path / "ids.npy", X[:, :4])
    with pytest.raises(SourceError, match="with one d"):
        npy(spark, tmp_path)


def test_a_bucket_cannot_be_mapped_into_memory(spark):
    with pytest.raises(SourceError, match="local or mounted path") as caught:
        npy(spark, "s3://bucket/a.npy")
    assert "mount the bucket" in caught.value.hint


def test_a_file_beside_that_has_another_number_or_other_rows_is_refused(spark, tmp_path):
    for name in ("emb", "ids"):
        (tmp_path / name).mkdir()
    for i, number in enumerate((2, 10)):
        np.save(tmp_path / "emb" / f"emb_{i}.npy", X[:30])
        np.save(tmp_path / "ids" / f"ids_{number}.npy", np.arange(30))
    where = {"metadata": str(tmp_path / "ids")}
    with pytest.raises(SourceError, match=r"Got 2 files, ids_10\.npy, ids_2\.npy, for 2 files"):
        npy(spark, tmp_path / "emb", **where)
    for number, n in ((0, 31), (1, 29)):  # in total as many as there are vectors
        np.save(tmp_path / "ids" / f"ids_{number:03d}.npy", np.arange(n))
    for number in (2, 10):
        (tmp_path / "ids" / f"ids_{number}.npy").unlink()
    with pytest.raises(SourceError, match=r"31 rows in .*ids_000\.npy for 30 vectors in .*emb_0"):
        npy(spark, tmp_path / "emb", **where)


def test_ids_of_bytes_stay_the_same_bytes():
    column = to_column(np.array([b"a\xff", b"", "ž".encode()]))
    assert column.type == pa.string()
    assert column.cast(pa.binary()).to_pylist() == [b"a\xff", b"", "ž".encode()]


@pytest.mark.parametrize("order", "<>")
def test_ids_that_are_half_a_character_are_refused_by_name(tmp_path, order):
    good = np.array(["", "ž", "\U0001f40e", "\ud7ff\ue000"]).astype(f"{order}U9")
    np.save(tmp_path / "a.npy", good)
    np.save(tmp_path / "b.npy", np.arange(3))
    refuse_surrogates([str(tmp_path / name) for name in ("a.npy", "b.npy")])
    np.save(tmp_path / "b.npy", np.array(["x", "y\udcff"]).astype(f"{order}U9"))
    with pytest.raises(SourceError, match=r"y.udcff' in row 1 \(from 0\) of .*b\.npy"):
        refuse_surrogates([str(tmp_path / name) for name in ("a.npy", "b.npy")])


def test_ids_of_other_kinds_are_refused_before_any_work(spark, tmp_path):
    (tmp_path / "emb").mkdir()
    np.save(tmp_path / "emb" / "a.npy", X)
    for ids, words in {
        "bool": (np.zeros(70, bool), "bool of shape"),
        "u8": (np.zeros(70, np.uint64), "uint64 of shape"),
        "text": (np.array(["a\udcff"] * 70), "lone surrogates"),
    }.values():
        np.save(tmp_path / "ids.npy", ids)
        with pytest.raises(SourceError, match=words):
            npy(spark, tmp_path / "emb", metadata=str(tmp_path / "ids.npy"))
