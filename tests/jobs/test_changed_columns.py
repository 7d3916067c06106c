"""Nights on which columns change: their values inside, their types, their names."""

import datetime as dt

import numpy as np
import pytest
from pyspark.sql import Row
from pyspark.sql import functions as F

from semdedup_spark import open_job
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline.operations.override import Rows, override_rows, withdraw_overrides
from tests.jobs.jobfiles import run, table, vectors_job

VECTORS = np.random.default_rng(0).standard_normal((8, 4)).tolist()
OLD = {
    "name": Row(declared=None, detected="en"),
    "tags": ["a", None],
    "parts": [["a", "b"], ["c"]],
    "z": 0.0,
    "seen": Row(m={"a": 1}, at=dt.datetime(2024, 1, 1, 0, 0, 0, 100)),
    "v": [0.0, 1.0, 2.0, 3.0],
}
NEW = {
    "name": Row(declared="en", detected=None),
    "tags": ["a"],
    "parts": [["a"], ["b", "c"]],
    "z": -0.0,
    "seen": Row(m={"a": 1}, at=dt.datetime(2024, 1, 1, 0, 0, 0, 900)),
    "v": [-0.0, 1.0, 2.0, 3.0],
}
NESTED = (
    "doc string, name struct<declared:string,detected:string>, tags array<string>, "
    "parts array<array<string>>, z double, seen struct<m:map<string,int>,at:timestamp>, "
    "v array<float>"
)


def write(df, path):
    df.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(str(path))


def as_read(spark, path):
    """What a table says of each row, signs and microseconds too."""
    rows = spark.read.format("delta").load(str(path))
    return {row["doc"]: str(row) for row in rows.collect()}


@pytest.mark.long
def test_a_change_inside_a_column_reaches_the_result(spark, tmp_path):
    def night(changed):
        rows = []
        for i, column in enumerate(OLD):
            values = {**OLD, "v": [*OLD["v"][:3], float(i)]}
            if changed:
                values[column] = NEW[column] if column != "v" else [-0.0, 1.0, 2.0, float(i)]
            rows.append((f"d{i}", *values.values()))
        write(spark.createDataFrame(rows, NESTED), tmp_path / "src")

    config = vectors_job(tmp_path / "out", tmp_path / "src", cluster={"n_clusters": 1})
    config = config.model_copy(update={"select": config.select.model_copy(update={"eps": 1e-9})})
    night(changed=False)
    run(spark, config)
    night(changed=True)
    run(spark, config)
    assert as_read(spark, tmp_path / "out" / "deduplicated") == as_read(spark, tmp_path / "src")


# What a table of the source becomes, night by night.
NIGHTS = {
    "as it was": ["doc", "v", "n", "d", "s", "t"],
    "a timestamp without a zone, also inside": [
        "*",
        "timestamp_ntz'2024-01-01 00:00:00.000001' AS at",
        "named_struct('in', array(timestamp_ntz'2024-01-01 00:00:00')) AS deep",
    ],
    "wider types, and the fields of a struct in another order and one more": [
        "doc",
        "v",
        "cast(n AS bigint) AS n",
        "cast(d AS decimal(12,4)) AS d",
        "named_struct('b', s.b, 'a', s.a, 'c', 1) AS s",
        "t",
    ],
    "another name, and a field less": [
        "doc",
        "v",
        "n AS number",
        "d",
        "named_struct('a', s.a) AS s",
        "t",
    ],
    "other types altogether, and a column that is always null": [
        "doc",
        "v",
        "cast(n AS string) AS n",
        "d",
        "t AS s",
        "s AS t",
        "cast(null AS int) AS x",
    ],
}


@pytest.mark.long
def test_columns_may_come_go_and_change_their_types_between_nights(spark, tmp_path):
    source, config = tmp_path / "src", vectors_job(tmp_path / "out", tmp_path / "src")
    rows = [(f"d{i}", v, i, f"{i}.25", Row(a=i, b=str(i)), "t") for i, v in enumerate(VECTORS)]
    ddl = "doc string, v array<float>, n int, d string, s struct<a:int,b:string>, t string"
    base = spark.createDataFrame(rows, ddl).withColumn("d", F.col("d").cast("decimal(8,2)"))
    config = config.model_copy(
        update={"score": config.score.model_copy(update={"rank_by": "d DESC, doc"})}
    )
    for night, columns in NIGHTS.items():
        if night == "a timestamp without a zone, also inside":
            feature = "'delta.feature.timestampNtz' = 'supported'"
            spark.sql(f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES ({feature})")
        write(base.selectExpr(*columns), source)
        assert run(spark, config).quarantined == 0, night
        there = spark.read.format("delta").load(str(source)).schema
        kept = table(spark, tmp_path / "out", "deduplicated")
        assert kept.schema.simpleString() == there.simpleString(), night
        assert as_read(spark, tmp_path / "out" / "deduplicated") == as_read(spark, source), night
    # No row was embedded twice: whatever else its columns are, its vector is the same.
    batches = table(spark, tmp_path / "out", "embeddings").select("batch").distinct().collect()
    assert [row[0] for row in batches] == [0]


@pytest.mark.long
def test_rules_of_a_column_of_the_source_do_not_bind_the_output(spark, tmp_path):
    source, config = tmp_path / "src", vectors_job(tmp_path / "out", tmp_path / "src")
    spark.sql(
        f"CREATE TABLE delta.`{source}` (doc string NOT NULL, v array<float>, c char(3), "
        "w varchar(3), n int NOT NULL) USING DELTA"
    )
    rows = [(f"d{i}", v, "ab", "abc", i) for i, v in enumerate(VECTORS)]
    bounded = spark.createDataFrame(rows, "doc string, v array<float>, c string, w string, n int")
    bounded.write.format("delta").mode("append").save(str(source))
    run(spark, config)
    kept = table(spark, tmp_path / "out", "deduplicated")
    assert all("CHAR" not in str(field.metadata).upper() for field in kept.schema)
    longer = bounded.withColumn("w", F.lit("longer than three")).withColumn("n", F.lit(None))
    write(longer.withColumn("n", F.col("n").cast("int")), source)
    run(spark, config)
    assert as_read(spark, tmp_path / "out" / "deduplicated") == as_read(spark, source)


@pytest.mark.long
def test_decisions_about_ids_of_another_type_stop_the_job_before_any_work(spark, tmp_path):
    source, out = tmp_path / "src", tmp_path / "out"
    config = vectors_job(out, source, cluster={"n_clusters": 2})
    rows = spark.createDataFrame(list(enumerate(VECTORS)), "doc int, v array<float>")
    write(rows, source)
    run(spark, config)
    override_rows(open_job(spark, config), Rows(["3"]), "remove", "wrong language")

    wider = rows.withColumn("doc", F.col("doc").cast("bigint"))
    write(wider, source)
    run(spark, config)  # the same ids
    assert [r["id"] for r in table(spark, out, "duplicates").collect()] == [3]

    before = spark.sql(f"DESCRIBE HISTORY delta.`{out}/embeddings`").count()
    write(rows.withColumn("doc", F.concat(F.lit("doc-"), "doc")), source)
    with pytest.raises(
        SourceError, match=r"Got string for int; there are decisions about 3\."
    ) as raised:
        run(spark, config)
    assert raised.value.exit_code == 2
    assert "--withdraw" in raised.value.hint
    assert spark.sql(f"DESCRIBE HISTORY delta.`{out}/embeddings`").count() == before

    assert withdraw_overrides(open_job(spark, config), ["3"], "remove").total == 0
    run(spark, config)
    assert table(spark, out, "deduplicated").count() == len(VECTORS)
    assert override_rows(open_job(spark, config), Rows(["doc-5"]), "remove", "why").total == 1
