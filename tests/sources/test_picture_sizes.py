"""`width` and `height` of pictures are columns where `source.columns` names them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.open_source import open_source

SIZES = {"a.png": (3, 5), "b.jpg": (40, 30), "turned.jpg": (20, 10)}
COLUMNS = ["path", "length", "width", "height"]


def picture(size, form, *, turned=False):
    exif = Image.Exif()
    if turned:
        exif[0x0112], size = 6, size[::-1]
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, form, exif=exif)
    return buffer.getvalue()


def opened(spark, **settings):
    return open_source(spark, SourceConfig(**{"kind": "images", **settings}))


@pytest.fixture
def folder(tmp_path):
    for name, size in SIZES.items():
        form = "PNG" if name.endswith("png") else "JPEG"
        (tmp_path / name).write_bytes(picture(size, form, turned="turned" in name))
    (tmp_path / "not.jpg").write_bytes(b"no picture")
    return tmp_path


def test_files_have_the_size_at_which_they_are_seen_in_every_part_of_the_source(spark, folder):
    source = opened(spark, format="files", path=str(folder), columns=COLUMNS)
    whole = [tuple(row["source"]) for row in source.rows.collect()]
    found = {path.rpartition("/")[2]: (width, height) for path, _, width, height in whole}
    assert found == {**SIZES, "not.jpg": (None, None)}
    halves = [source.between(0, 2**31), source.between(2**31, 2**32)]
    assert sorted(tuple(r["source"]) for half in halves for r in half.collect()) == sorted(whole)


def test_a_table_that_has_such_a_column_keeps_its_own(spark):
    rows = [(1, picture((6, 4), "PNG"), "wide"), (2, None, "none")]
    spark.createDataFrame(rows, "id int, image binary, Width string").createOrReplaceTempView(
        "pics"
    )
    settings = {"table": "pics", "id": "id", "content": "image", "columns": ["Width", "height"]}
    source = opened(spark, **settings)
    assert {r[s.ID]: tuple(r["source"]) for r in source.rows.collect()}[1] == ("wide", 4)


def test_without_being_named_they_are_not_there(spark, folder):
    source = opened(spark, format="files", path=str(folder))
    assert source.rows.schema["source"].dataType.names == ["path", "modificationTime", "length"]
