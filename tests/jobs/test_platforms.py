"""The same job where Spark is older, and where tables have names rather than paths."""

import pytest
from pyspark.sql import functions as F

from semdedup_spark import read_selection
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline import open_job, run_select
from semdedup_spark.pipeline.operations.maintain import maintain
from semdedup_spark.pipeline.queries.sql import run_sql
from semdedup_spark.pipeline.stages import compare_plan
from tests.jobs.jobfiles import near_duplicates, rows_of, run, vectors_job, write_vectors

# What a view of the kept rows needs.
COPIED = {"encoder": "none", "copy_source": True}


@pytest.mark.long
def test_the_ways_of_older_spark_give_the_same_tables(spark, tmp_path, monkeypatch):
    X = near_duplicates(120)
    X[4] = 0.0
    # ids that a float64 would round, and clusters cut into tiles
    rows = [(2**62 + i, x.tolist(), "") for i, x in enumerate(X)]
    frame = spark.createDataFrame(rows, "doc long, v array<double>, note string")
    frame.write.format("delta").save(str(tmp_path / "source"))
    whole = compare_plan.plan_units
    cut = {"unit_rows": 20}
    monkeypatch.setattr(compare_plan, "plan_units", lambda sizes, **_: whole(sizes, **cut))
    stages = {"score": {"rank_by": "random"}}
    run(spark, vectors_job(tmp_path / "new", tmp_path / "source", **stages))
    monkeypatch.delattr(F, "arrow_udf")  # Spark 4.1
    grouped = type(spark.range(1).groupBy("id"))
    owner = next(c for c in grouped.__mro__ if "applyInArrow" in vars(c))
    monkeypatch.delattr(owner, "applyInArrow")  # Spark 4.0
    run(spark, vectors_job(tmp_path / "old", tmp_path / "source", **stages))
    for name in ("embeddings", "scores", "duplicates", "deduplicated", "quarantine"):
        assert rows_of(spark, tmp_path / "old", name) == rows_of(spark, tmp_path / "new", name)


def test_an_output_may_be_a_catalog_schema(spark, tmp_path):
    write_vectors(spark, tmp_path / "source", near_duplicates(60))
    spark.sql("CREATE SCHEMA dedup_test")
    try:
        config = vectors_job("spark_catalog.dedup_test", tmp_path / "source", embed=COPIED)
        first = run(spark, config)
        assert spark.table("dedup_test.deduplicated").count() == first.kept
        again = run(spark, config)
        assert all(record.reused for record in again.records)
        _kept_rows_need_no_copy(spark, tmp_path, first.kept)
    finally:
        spark.sql("DROP SCHEMA dedup_test CASCADE")


def _kept_rows_need_no_copy(spark, tmp_path, kept):
    def job(**select):
        output = "spark_catalog.dedup_test"
        config = vectors_job(output, tmp_path / "source", embed=COPIED, select=select)
        return open_job(spark, config)

    rows = sorted(map(tuple, spark.table("dedup_test.deduplicated").collect()))
    with pytest.raises(ConfigError, match=r"there must be no table .*`?deduplicated`?\. It would"):
        run(spark, job(write="view").config)
    seen = run_select(job(name="seen", write="view"))
    assert seen.counts["kept"] == kept
    assert "deduplicated_seen" not in seen.outputs
    view = spark.catalog.getTable("dedup_test.deduplicated_seen")
    assert view.tableType == "VIEW"
    assert sorted(map(tuple, spark.table("dedup_test.deduplicated_seen").collect())) == rows
    maintain(job())  # which a view would stop
    spark.sql("DROP VIEW dedup_test.deduplicated_seen")
    assert run_select(job(name="seen", write="view")).reused
    assert spark.table("dedup_test.deduplicated_seen").count() == kept
    assert run_select(job(name="seen", write="none")).counts == seen.counts
    assert not spark.catalog.tableExists("dedup_test.deduplicated_seen")
    found = read_selection(spark, "spark_catalog.dedup_test", "seen").deduplicated
    assert sorted(map(tuple, found.collect())) == rows
    counted = run_sql(job(), "SELECT count(*) FROM deduplicated_seen", limit=1)
    assert counted.rows == ((str(kept),),)
    written = run_select(job(name="seen", eps=0.05))
    assert written.outputs.keys() > seen.outputs.keys()


def test_a_view_of_the_kept_rows_needs_a_catalog(spark, tmp_path):
    config = vectors_job(tmp_path / "out", tmp_path / "no_source", select={"write": "view"})
    with pytest.raises(ConfigError, match="must be table or none where output is a path"):
        run(spark, config)
    assert not (tmp_path / "out").exists()
