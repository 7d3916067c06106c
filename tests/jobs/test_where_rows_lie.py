"""Which sources are copied, and what is said where a copy, or the way to the source, is missing."""

from pathlib import Path

import pytest

from semdedup_spark import open_job, parse_config, read_selection
from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceChangedError, StageOrderError
from semdedup_spark.pipeline import run_embed, run_forget, run_select
from semdedup_spark.pipeline.own_columns import check_unchanged
from semdedup_spark.pipeline.stages.select.kept_view import check_copied
from semdedup_spark.sources.open_source import open_source
from tests.jobs.jobfiles import rows_of, run, table, vectors_job
from tests.planted import near_duplicates


def job_over(output, path, form, **stages):
    tree = vectors_job(output, path, **stages).model_dump()
    return parse_config({**tree, "source": {**tree["source"], "path": str(path), "format": form}})


@pytest.fixture(scope="module")
def rows(spark):
    found = [(f"row-{i}", v.tolist(), f"note {i}") for i, v in enumerate(near_duplicates(40, d=8))]
    return spark.createDataFrame(found, "doc string, v array<double>, note string").coalesce(1)


@pytest.mark.parametrize(
    ("form", "copies"), [("delta", False), ("parquet", False), ("json", True), ("view", True)]
)
def test_delta_and_parquet_are_read_where_they_lie_and_what_is_dear_to_read_is_copied(
    spark, rows, tmp_path, form, copies
):
    path = tmp_path / "source"
    rows.write.format("parquet" if form == "view" else form).save(str(path))
    config = job_over(tmp_path / "out", path, {"json": "jsonl", "view": "parquet"}.get(form, form))
    if form == "view":
        spark.read.parquet(str(path)).createOrReplaceTempView("rows_of_view")
        source = {"kind": "vectors", "table": "rows_of_view", "id": "doc", "content": "v"}
        config = parse_config({**config.model_dump(), "source": source})
    run_embed(open_job(spark, config))
    assert (s.SOURCE in table(spark, tmp_path / "out", s.EMBEDDINGS).columns) is copies


def test_a_view_of_the_kept_rows_is_refused_where_nothing_was_copied(spark, tmp_path):
    config = vectors_job("spark_catalog.none", tmp_path, select={"write": "view"})
    job = open_job(spark, config)
    check_copied(job, spark.createDataFrame([], "id string, source struct<note: string>"))
    with pytest.raises(ConfigError, match="must have a copy of the source's columns") as caught:
        check_copied(job, spark.createDataFrame([], "id string"))
    assert "embed.copy_source: true" in caught.value.hint


def test_files_that_changed_while_kept_rows_were_read_from_them_are_told(spark, rows, tmp_path):
    rows.write.parquet(str(tmp_path / "source"))
    opened = open_source(spark, job_over(tmp_path / "out", tmp_path / "source", "parquet").source)
    check_unchanged(opened)
    rows.write.mode("append").parquet(str(tmp_path / "source"))
    with pytest.raises(SourceChangedError, match="must not change while their rows are read"):
        check_unchanged(opened)


@pytest.mark.long
def test_kept_rows_that_only_a_secret_leads_to_are_read_with_the_source_of_the_job(
    spark, rows, tmp_path
):
    rows.write.parquet(str(tmp_path / "source"))
    tree = job_over(tmp_path / "out", tmp_path / "source", "parquet").model_dump()
    source = {**tree["source"], "options": {"password": "hunter2"}}
    config = parse_config({**tree, "source": source, "select": {"eps": 0.05, "write": "none"}})
    kept = run(spark, config).kept
    with pytest.raises(StageOrderError, match="settings hold a secret") as caught:
        read_selection(spark, str(tmp_path / "out"))
    assert "source=config.source" in caught.value.hint
    found = read_selection(spark, str(tmp_path / "out"), source=config.source).deduplicated
    assert found.count() == kept
    written = config.model_copy(update={"select": type(config.select)(eps=0.05)})
    run_select(open_job(spark, written))
    rows = sorted(map(tuple, found.collect()), key=str)
    assert rows == rows_of(spark, tmp_path / "out", "deduplicated")


@pytest.mark.long
def test_a_pinned_version_whose_files_are_gone_is_found_before_anything_is_written(
    spark, rows, tmp_path
):
    source, output = tmp_path / "source", tmp_path / "out"
    rows.write.format("delta").save(str(source))
    tree = job_over(output, source, "delta").model_dump()
    pinned = {**tree["source"], "version": 0}
    run(spark, parse_config({**tree, "source": pinned}))
    before = table(spark, output, s.DUPLICATES).count()
    old = [Path(f.removeprefix("file:")) for f in table(spark, source, "").inputFiles()]
    rows.limit(30).write.format("delta").mode("overwrite").save(str(source))
    for file in old:
        file.unlink()
    with pytest.raises(StageOrderError, match="files are gone, as after VACUUM"):
        run(spark, parse_config({**tree, "source": pinned, "select": {"eps": 0.2}}))
    assert table(spark, output, s.DUPLICATES).count() == before


@pytest.mark.long
def test_a_row_is_forgotten_also_where_it_has_left_the_files_first(spark, rows, tmp_path):
    source, output = tmp_path / "source", tmp_path / "out"
    rows.write.parquet(str(source))
    config = job_over(output, source, "parquet")
    kept = run(spark, config).kept
    gone = table(spark, output, s.DEDUPLICATED).first()["doc"]
    left = rows.filter(rows.doc != gone)
    left.write.mode("overwrite").parquet(str(source))
    forgotten = run_forget(open_job(spark, config), [gone])
    assert forgotten.embedded == 1
    for name, key in ((s.DEDUPLICATED, "doc"), (s.ASSIGNMENT, "id"), (s.EMBEDDINGS, "id")):
        assert gone not in {row[key] for row in table(spark, output, name).collect()}
    assert table(spark, output, s.DEDUPLICATED).count() >= kept - 1


@pytest.mark.long
def test_a_clone_that_no_selection_has_any_more_blocks_nothing_and_shows_no_erased_row(
    spark, rows, tmp_path
):
    source, output = tmp_path / "source", tmp_path / "out"
    rows.write.format("delta").save(str(source))
    tree = job_over(output, source, "delta").model_dump()
    for eps, write in ((0.05, "clone"), (0.1, "clone"), (0.1, "table")):
        config = parse_config({**tree, "select": {"eps": eps, "write": write}})
        run(spark, config)
    gone = table(spark, output, s.DEDUPLICATED).first()["doc"]
    run_forget(open_job(spark, config), [gone])
    for clone in s.clones_of(None):
        assert table(spark, output, clone).count() == 0
    assert gone not in {row["doc"] for row in table(spark, output, s.DEDUPLICATED).collect()}
