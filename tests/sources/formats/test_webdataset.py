"""Tar shards become rows: members are chosen, no sample is lost, a part reads only its range."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from PIL import Image

from semdedup_spark import open_job, parse_config
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline import run_embed
from semdedup_spark.pipeline.stages.embed import embed_commits
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


def test_of_samples_with_one_key_in_a_shard_a_good_one_stays(spark, tmp_path):
    files = [("a.txt", b"no image"), ("b.jpg", b"1"), ("a.jpg", b"2"), ("b.jpg", b"3")]
    (tmp_path / "a.tar").write_bytes(tar_bytes([*files, *samples_of(40)]))
    source = webdataset(spark, tmp_path)
    assert source.n_read == 44
    rows = [row for row in rows_of(source) if not row["source"]["key"].startswith("0")]
    found = [(row["source"]["key"], row["reason"]) for row in rows]
    assert found == [("a", None), ("a", "missing_member"), ("b", None), ("b", "duplicate_id")]
    assert source.twins is not None
    half = END_OF_PLACES // 2
    parts = [source.between(*ends).collect() for ends in ((0, half), (half, END_OF_PLACES))]
    assert all(len(part) < 40 for part in parts)
    assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, source.rows.collect()))


def test_a_job_takes_the_sample_of_a_key_that_can_be_decoded(spark, tmp_path, monkeypatch):
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "pixels", 5)
    pictures = []
    for i in range(12):
        picture = io.BytesIO()
        Image.new("RGB", (4, 4), (20 * i, 255 - 20 * i, i)).save(picture, "PNG")
        pictures.append((f"{i:03d}.png", picture.getvalue()))
    bad = [(name, b"no picture %d" % i) for i in range(3) for name in ("003.png", "007.png")]
    (tmp_path / "a.tar").write_bytes(tar_bytes([*bad, *pictures, ("009.txt", b"no image")]))
    source = {"kind": "images", "format": "webdataset", "path": str(tmp_path / "a.tar")}
    embed = {"encoder": "pixels", "image_size": 4}
    config = parse_config({"output": str(tmp_path / "out"), "source": source, "embed": embed})
    counts = run_embed(open_job(spark, config)).counts
    assert (counts["read"], counts["embedded"], counts["quarantined"]) == (19, 12, 7)
    place = str(tmp_path / "out" / "embeddings")
    rows = spark.read.format("delta").load(place).collect()
    assert {row["id"].rpartition("/")[2] for row in rows} == {name[:3] for name, _ in pictures}


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


def test_shards_of_other_endings_are_told_and_a_folder_of_none_else_is_refused(
    spark, tmp_path, caplog
):
    for folder in ("empty", "other"):
        (tmp_path / folder).mkdir()
        if folder == "other":
            (tmp_path / "other" / "a.tar.zst").write_bytes(b"x")
        with pytest.raises(SourceError, match=r"ends with \.tar, \.tgz.* or \.tar\.xz\. Got"):
            webdataset(spark, tmp_path / folder)
    (tmp_path / "other" / "b.TAR").write_bytes(b"x")
    (tmp_path / "other" / "c.tar").write_bytes(tar_bytes(samples_of(2)))
    (tmp_path / "other" / "c.parquet").write_bytes(b"x")
    caplog.clear()
    assert webdataset(spark, tmp_path / "other").n_read == 2
    assert "2 files of source.path are not read" in caplog.text
