"""When rows were only added to a source, which is told from its files or its log alone."""

import os
import shutil

import pytest
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.candidate_rows import SourceFacts
from semdedup_spark.sources.open_source import open_source
from semdedup_spark.sources.source_growth import Earlier
from tests.sources.sourcefiles import add_file

pytestmark = pytest.mark.pyspark

COLUMNS = "doc string, v array<double>, note string"


def rows(*names):
    return [(name, [1.0, float(i + 1)], f"of {name}") for i, name in enumerate(names)]


def add(spark, folder, form, new, *, seconds=2_000, columns=COLUMNS):
    """One more file of rows, or one more commit."""
    frame = spark.createDataFrame(new, columns)
    if form == "parquet":
        add_file(folder, frame, seconds=seconds)
    else:
        writer = frame.coalesce(1).write.format("delta").option("mergeSchema", "true")
        writer.mode("append").save(str(folder))


def opened(spark, folder, form, earlier=lambda: None, **more):
    fixed = {"kind": "vectors", "format": form, "id": "doc", "content": "v"}
    return open_source(
        spark, SourceConfig(**{**fixed, "path": str(folder), **more}), earlier=earlier
    )


def earlier_of(spark, folder, form, *, n_embedded=6, may_add=lambda ids, n: True, **more):
    """What is known of the source as it is now."""
    now = opened(spark, folder, form, **more)
    facts = SourceFacts(now.n_read, now.unique_ids, now.dimension)
    return Earlier(now.fingerprint, facts, n_embedded, now.schema, may_add)


@pytest.fixture
def source(spark, tmp_path, form):
    folder = tmp_path / "50%25 of {it}, [a] b"
    add(spark, folder, form, rows(*"abcdef"), seconds=1_000)
    return folder


both = pytest.mark.parametrize("form", ["parquet", "delta"])


@both
def test_rows_of_new_files_are_found_without_the_others(spark, source, form):
    earlier = earlier_of(spark, source, form)
    add(spark, source, form, rows("g"))
    add(spark, source, form, rows("h", "i"), seconds=3_000)
    now = opened(spark, source, form, lambda: earlier)
    assert (now.n_read, now.unique_ids, now.dimension, now.added.n_read) == (9, True, 2, 3)
    assert {row.id for row in now.added.rows.collect()} == {"g", "h", "i"}
    assert now.rows.count() == 9


@pytest.mark.parametrize("form", ["parquet"])
def test_ids_of_the_new_rows_are_asked_about(spark, source, form):
    asked = []

    def may_add(ids, n):
        asked.append((sorted(row.id for row in ids.collect()), n))
        return False

    earlier = earlier_of(spark, source, form, may_add=may_add)
    add(spark, source, form, rows("a", "g"))
    assert opened(spark, source, form, lambda: earlier).added is None
    assert asked == [(["a", "g"], 2)]


def replaced(spark, source, form):
    if form == "delta":
        spark.sql(f"DELETE FROM delta.`{source}` WHERE doc = 'a'")
    else:
        next(source.glob("*.parquet")).unlink()
        add(spark, source, form, rows(*"abcdeg"), seconds=1_000)
    add(spark, source, form, rows("h"))


def as_old_as_the_others(spark, source, form):
    add(spark, source, form, rows("g"), seconds=1_000)


def with_another_column(spark, source, form):
    new = [(*row, 7) for row in rows("g")]
    add(spark, source, form, new, columns=f"{COLUMNS}, stars int")


def one_id_twice(spark, source, form):
    add(spark, source, form, rows("g", "g"))


def more_than_there_were(spark, source, form):
    add(spark, source, form, rows(*"ghijkl"))


@pytest.mark.parametrize(
    ("form", "change"),
    [
        ("delta", replaced),
        ("parquet", replaced),
        ("parquet", as_old_as_the_others),
        ("parquet", with_another_column),
        ("parquet", one_id_twice),
        ("parquet", more_than_there_were),
    ],
    ids=lambda it: getattr(it, "__name__", it),
)
def test_all_rows_are_read_where_more_may_have_changed(spark, source, form, change):
    earlier = earlier_of(spark, source, form)
    change(spark, source, form)
    assert opened(spark, source, form, lambda: earlier).added is None


@pytest.mark.parametrize("form", ["delta"])
def test_a_table_that_parquet_readers_misread_is_read_as_a_whole(spark, source, form):
    spark.sql(
        f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = true)"
    )
    earlier = earlier_of(spark, source, form)
    add(spark, source, form, rows("g"))
    assert opened(spark, source, form, lambda: earlier).added is None


@pytest.mark.parametrize("form", ["delta"])
def test_another_table_in_its_place_is_read_as_a_whole(spark, source, form):
    earlier = earlier_of(spark, source, form)
    shutil.rmtree(source)
    add(spark, source, form, rows(*"abcdef"))
    add(spark, source, form, rows("g"))
    assert opened(spark, source, form, lambda: earlier).added is None


@pytest.mark.parametrize("form", ["parquet"])
def test_added_rows_that_are_mostly_no_vectors_are_judged_with_all_others(spark, source, form):
    earlier = earlier_of(spark, source, form, n_embedded=100)
    nothing = [(f"n{i}", [float("nan"), 0.0], "not a number") for i in range(40)]
    add(spark, source, form, nothing)
    with pytest.raises(SourceError, match="must hold vectors of numbers"):
        opened(spark, source, form, lambda: earlier)


def test_an_empty_picture_that_went_is_noticed(spark, tmp_path):
    source = {"kind": "images", "format": "files", "path": str(tmp_path)}
    for name, content, seconds in (("a.png", b"picture", 1_000), ("e.png", b"", 1_000)):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (seconds, seconds))
    now = open_source(spark, SourceConfig(**source))
    facts = SourceFacts(now.n_read, now.unique_ids, None)
    earlier = Earlier(now.fingerprint, facts, 1, now.schema, lambda ids, n: True)
    (tmp_path / "b.png").write_bytes(b"another")
    for left, added in ((3, None), (2, None)):
        now = open_source(spark, SourceConfig(**source), earlier=lambda: earlier)
        assert (now.n_read, now.added) == (left, added)
        (tmp_path / "e.png").unlink(missing_ok=True)


@pytest.mark.parametrize("form", ["parquet"])
def test_a_file_that_comes_while_the_source_is_opened_makes_it_another_version(spark, source, form):
    now = opened(spark, source, form)
    add(spark, source, form, rows("g"))
    assert now.fingerprint_now() != now.fingerprint
    assert now.rows.select(F.max("id")).first()[0] == "f"
