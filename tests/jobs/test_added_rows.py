"""A source that only got more rows: these are read and embedded, and no other row is looked at."""

import os

import pytest
from PIL import Image

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import run_embed
from tests.jobs.jobfiles import rows_of, table, vectors_job
from tests.planted import near_duplicates
from tests.sources.sourcefiles import add_file
from tests.sparkqueries import new_queries

pytestmark = pytest.mark.pyspark

NAN = [float("nan")] * 8
COLUMNS = "doc string, v array<double>, note string"


def vectors(names, first=0):
    X = near_duplicates(40, d=8)
    return [(name, [float(x) for x in X[first + i]], f"of {name}") for i, name in enumerate(names)]


def write(spark, folder, rows, *, seconds):
    add_file(folder, spark.createDataFrame(rows, COLUMNS), seconds=seconds)


def job_of(output, source):
    return vectors_job(output, source, form="parquet")


def embed(spark, config):
    return run_embed(open_job(spark, config))


def read_again(spark, config):
    """The number of rows that a run over the source as it is now reads, by Spark's own count."""
    state = spark._jsparkSession.sharedState().statusStore()
    record, new = new_queries(spark, lambda: embed(spark, config))
    return record, sum(_rows_of(state, query) for query in new)


def _rows_of(state, query):
    nodes, values = state.planGraph(query.executionId()).allNodes(), None
    total = 0
    for i in range(nodes.size()):
        node = nodes.apply(i)
        if "parquet [doc#" not in node.desc():  # no other table has this column
            continue
        values = values or state.executionMetrics(query.executionId())
        for k in range(node.metrics().size()):
            metric = node.metrics().apply(k)
            if metric.name() == "number of output rows":
                shown = values.get(metric.accumulatorId())
                total += int(shown.get().replace(",", "")) if shown.isDefined() else 0
    return total


def embedded(spark, output):
    rows = table(spark, output, "embeddings").drop("batch")
    return sorted(map(tuple, rows.collect()), key=str)


def batches(spark, output):
    return dict(table(spark, output, "embeddings").select("id", "batch").collect())


def test_only_added_rows_are_read_and_the_tables_are_those_of_a_whole_run(spark, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    old = [*vectors([f"a{i}" for i in range(20)]), ("bad", NAN, "no vector"), (None, NAN, "no id")]
    write(spark, source, old, seconds=1_000)
    config = job_of(out, source)
    embed(spark, config)
    added = [*vectors(["b0", "b1", "b2"], first=20), ("worse", NAN, "no vector")]
    write(spark, source, added, seconds=2_000)
    record, n = read_again(spark, config)
    # They are counted, their ids compared, and embedded; the bad one is looked at three times.
    assert len(added) <= n <= 6 * len(added)
    told = {name: record.counts[name] for name in ("read", "embedded", "quarantined")}
    assert told == {"read": 26, "embedded": 23, "quarantined": 3}
    whole = job_of(tmp_path / "whole", source)
    embed(spark, whole)
    assert embedded(spark, out) == embedded(spark, tmp_path / "whole")
    night, at_once = (rows_of(spark, place, "quarantine") for place in (out, tmp_path / "whole"))
    assert [row[:3] for row in night] == [row[:3] for row in at_once]
    assert {row for row, batch in batches(spark, out).items() if batch == 1} == {"b0", "b1", "b2"}
    # The id of a rejected row comes again, with a good one.
    write(spark, source, vectors(["bad"], first=30), seconds=3_000)
    embed(spark, config)
    assert table(spark, out, "embeddings").filter("id = 'bad'").count() == 1
    (left,) = table(spark, out, "quarantine").filter("id = 'bad'").collect()
    assert left.reason == "non_finite_vector"


def test_added_pictures_are_decoded_and_the_others_not_opened(spark, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, name in enumerate(("old", "older")):
        Image.new("L", (8, 8), 40 * i + 9).save(pictures / f"{name}.png")
        os.utime(pictures / f"{name}.png", (1_000 + i, 1_000 + i))
    config = parse_config(
        {
            "output": str(tmp_path / "out"),
            "source": {"kind": "images", "format": "files", "path": str(pictures)},
            "embed": {"encoder": "pixels"},
        }
    )
    embed(spark, config)
    before = batches(spark, tmp_path / "out")
    size = (pictures / "old.png").stat().st_size
    (pictures / "old.png").write_bytes(b"x" * size)  # whoever opens it sees that it has changed
    os.utime(pictures / "old.png", (1_000, 1_000))
    Image.new("L", (8, 8), 200).save(pictures / "new.png")
    record = embed(spark, config)
    assert (record.counts["embedded"], record.counts["quarantined"]) == (3, 0)
    after = batches(spark, tmp_path / "out")
    assert {row: batch for row, batch in after.items() if row in before} == before
    assert sorted(after.values()) == [0, 0, 1]
