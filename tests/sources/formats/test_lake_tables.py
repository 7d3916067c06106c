"""Data files of a lake table are refused, because they still hold deleted rows."""

from __future__ import annotations

import pytest

from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.lake_tables import refuse_files_of_tables
from tests.sources.sourcefiles import opened


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A folder with a Delta table ``t`` of two partitions whose six rows were all deleted."""
    place = tmp_path_factory.mktemp("lake")
    rows = spark.range(6).selectExpr("cast(id AS string) id", "'x' text", "id % 2 k").coalesce(1)
    rows.write.partitionBy("k").format("delta").save(f"{place}/t")
    rows.limit(0).write.format("delta").mode("overwrite").save(f"{place}/t")
    return place


@pytest.mark.parametrize(
    ("form", "below", "options"),
    [
        ("parquet", "t", {}),
        ("parquet", "t/k=0", {}),
        ("parquet", "*", {}),
        ("parquet", "t/*/*.parquet", {}),
        ("parquet", "", {"recursiveFileLookup": "true"}),
        ("jsonl", "t", {}),
        ("csv", "t/k=1", {}),
        ("files", "", {}),
    ],
)
def test_a_delta_table_is_not_read_as_files(spark, lake, form, below, options):
    kind = "images" if form == "files" else "text"
    with pytest.raises(SourceError, match=rf"of the Delta table {lake}/t, ") as caught:
        opened(spark, kind=kind, format=form, path=f"{lake}/{below}", options=options)
    assert "source.format to delta" in caught.value.hint


def test_a_catalog_table_of_files_that_are_a_delta_tables_is_refused_and_a_view_on_it_is_not(
    spark, tmp_path
):
    rows = spark.createDataFrame([("a", "x"), ("b", "y")], "id string, text string")
    rows.write.format("delta").save(f"{tmp_path}/t")
    rows.limit(1).write.format("delta").mode("overwrite").save(f"{tmp_path}/t")
    spark.sql(f"CREATE TABLE as_files USING parquet LOCATION '{tmp_path}/t'")
    try:
        with pytest.raises(SourceError, match=r"source\.table must name files that belong to no"):
            opened(spark, table="as_files")
    finally:
        spark.sql("DROP TABLE as_files")
    spark.read.format("delta").load(f"{tmp_path}/t").createOrReplaceTempView("as_a_table")
    assert opened(spark, table="as_a_table").n_read == 1


@pytest.mark.parametrize(
    ("sign", "kind"),
    [
        ("_delta_log/00000000000000000000.json", "Delta"),
        (".hoodie/hoodie.properties", "Hudi"),
        ("metadata/v1.metadata.json", "Iceberg"),
    ],
)
@pytest.mark.parametrize("folder", ["t", "a [b] %?*", "x:y"])
def test_the_folders_above_tell_of_which_table_a_file_is(tmp_path, sign, kind, folder):
    for name in (sign, "data/day=1/a.parquet"):
        (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_text("x")
    file = (tmp_path / folder / "data/day=1/a.parquet").as_uri()
    with pytest.raises(SourceError, match=f"files of the {kind} table"):
        refuse_files_of_tables(None, [file], "source.path")
    beside = tmp_path / "beside.parquet"
    refuse_files_of_tables(None, [beside.as_uri()], "source.path")


def test_a_link_to_a_file_or_folder_of_a_table_is_followed(tmp_path):
    for name in ("t/_delta_log/0.json", "t/day=1/a.parquet", "u/b.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for link, target in {"today": "t/day=1", "u/a.parquet": "t/day=1/a.parquet", "v": "u"}.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    for name in ("today/a.parquet", "u/a.parquet", "v/a.parquet"):
        with pytest.raises(SourceError, match=f"files of the Delta table {tmp_path}/t,"):
            refuse_files_of_tables(None, [(tmp_path / name).as_uri()], "source.path")
    refuse_files_of_tables(None, [(tmp_path / "v" / "b.parquet").as_uri()], "source.path")
