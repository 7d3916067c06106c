"""Tar shards become rows: members are chosen, no sample is lost, a part reads only its range."""

from __future__ import annotations

from itertools import pairwise

import pytest

from semdedup_spark.errors import SourceError
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from tests.sources.shards import samples_of, tar_bytes
from tests.sources.sourcefiles import opened


def webdataset(spark, path, **settings):
    settings = {"kind": "images", "id": None, "content": None, **settings}
    return opened(spark, format="webdataset", path=str(path), **settings)


def rows_of(source, frame=None):
    rows = (source.rows if frame is None else frame).collect()
    return sorted(rows, key=lambda row: (row["id"] or "", row["reason"] or ""))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three shards of 4 samples, a truncated one of 2, an empty one, and files of other kinds."""
    folder = tmp_path_factory.mktemp("shards")
    for i in range(3):
        content = tar_bytes(samples_of(4, first=4 * i), "w:gz" if i == 1 else "w")
        (folder / f"{i:05d}.tar{'.gz' if i == 1 else ''}").write_bytes(content)
    cut = tar_bytes(samples_of(3, first=12, of=("txt", "json", "jpg")))
    (folder / "00003.tar").write_bytes(cut[: 2 * 3 * 1024 + 3 * 512 + 100])
    (folder / "00004.tar").touch()
    (folder / "00000_stats.json").write_text("{}")
    (folder / "00000.parquet").write_bytes(b"not read")
    return folder


def test_every_sample_of_every_shard_is_a_row_and_so_is_damage(spark, shards):
    source = webdataset(spark, shards)
    rows = rows_of(source)
    good = [row for row in rows if row["reason"] is None]
    assert [bytes(row["payload"]) for row in good] == [f"jpg {i}".encode() for i in range(14)]
    place = f"file:{shards}/00001.tar.gz"
    assert good[4]["id"] == f"{place}/00004"
    assert good[4]["source"].asDict() == {
        "shard": place,
        "key": "00004",
        "txt": "txt 4",
        "json": '{"uid": "u4", "caption": "json 4"}',
    }
    bad = [(r["id"].removeprefix(f"file:{shards}/"), r["reason"]) for r in rows if r["reason"]]
    damaged = ("00003.tar", "00003.tar/00014", "00004.tar")
    assert bad == [(name, "damaged_shard") for name in damaged]
    assert source.n_read == len(rows) == 17


def test_parts_together_are_the_source(spark, shards):
    source = webdataset(spark, shards)
    cuts = [0, END_OF_PLACES // 9, END_OF_PLACES // 2, END_OF_PLACES]
    parts = [row for begin, end in pairwise(cuts) for row in source.between(begin, end).collect()]
    assert sorted(map(str, parts)) == sorted(map(str, source.rows.collect()))


def test_what_to_embed_is_chosen(spark, shards):
    def payloads(**settings):
        good = [row for row in rows_of(webdataset(spark, shards, **settings)) if not row["reason"]]
        return good[0]["payload"], good[0]["id"].removeprefix(f"file:{shards}/")

    first = "00000.tar/00000"
    assert payloads(kind="text") == ("txt 0", first)
    assert payloads(kind="text", content="json.caption", id="json.uid") == ("json 0", "u0")
    both, _ = payloads(kind="image_text", text="json.caption", columns=["key"])
    assert both.asDict() == {"image": b"jpg 0", "text": "json 0"}
    assert payloads(kind="image_text", id="key")[0].asDict() == {"image": b"jpg 0", "text": "txt 0"}


def test_ids_of_the_user_that_repeat_are_found_across_shards(spark, tmp_path):
    for name in ("a.tar", "b.tar"):
        (tmp_path / name).write_bytes(tar_bytes(samples_of(2)))
    source = webdataset(spark, tmp_path, id="json.uid")
    assert source.n_read == 4
    found = [(row["id"], row["reason"]) for row in rows_of(source)]
    assert found == [("u0", None), ("u0", "duplicate_id"), ("u1", None), ("u1", "duplicate_id")]
    half = END_OF_PLACES // 2
    parts = [source.between(*ends).collect() for ends in ((0, half), (half, END_OF_PLACES))]
    assert sum(row["reason"] is None for part in parts for row in part) == 2


def test_real_shards_and_the_loose_photos_have_the_same_bytes(spark, shared_data):
    source = webdataset(spark, shared_data / "clip_retrieval_wds" / "test_tars" / "image[12].tar")
    photos = shared_data / "clip_retrieval_wds" / "test_images"
    found = {row["source"]["key"]: bytes(row["payload"]) for row in source.rows.collect()}
    assert found == {photo.stem: photo.read_bytes() for photo in photos.iterdir()}


def test_members_of_any_name_can_travel(spark, shared_data):
    digits = shared_data / "webdataset_testdata" / "sample.tgz"
    source = webdataset(spark, digits, columns=["key", "cls"], content="png")
    rows = source.rows.collect()
    assert len(rows) == source.n_read == 90
    assert all(bytes(row["payload"]).startswith(b"\x89PNG") for row in rows)
    assert {row["source"]["cls"] for row in rows} == set("0123456789")


def test_a_range_that_spark_does_not_know_has_a_hint(spark, shards):
    with pytest.raises(SourceError, match=r"no ranges such as \{000\.\.099\}"):
        webdataset(spark, f"{shards}/{{00000..00002}}.tar")


def test_a_json_field_is_no_column(spark, shards):
    with pytest.raises(SourceError, match=r"source\.columns must name whole members") as caught:
        webdataset(spark, shards, columns=["key", "json.uid"])
    assert "get_json_object" in caught.value.hint
