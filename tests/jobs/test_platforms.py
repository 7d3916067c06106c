"""The same job where Spark is older, and where tables have names rather than paths."""

from pyspark.sql import functions as F

from semdedup_spark.pipeline.stages import compare_plan
from tests.jobs.jobfiles import near_duplicates, rows_of, run, vectors_job, write_vectors


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
        config = vectors_job("spark_catalog.dedup_test", tmp_path / "source")
        first = run(spark, config)
        assert spark.table("dedup_test.deduplicated").count() == first.kept
        again = run(spark, config)
        assert all(record.reused for record in again.records)
    finally:
        spark.sql("DROP SCHEMA dedup_test CASCADE")
