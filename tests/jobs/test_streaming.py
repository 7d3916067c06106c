"""A stream's micro-batches, as docs/how-to/streams.md says, leave what nights leave."""

from __future__ import annotations

import pytest

from semdedup_spark import open_job, run_job
from semdedup_spark.pipeline import held_output
from tests.jobs.jobfiles import near_duplicates, rows_of, run, table, vectors_job, write_vectors

TABLES = ("embeddings", "scores", "duplicates", "deduplicated", "quarantine")


@pytest.mark.long
def test_micro_batches_leave_what_runs_night_by_night_leave(spark, tmp_path):
    X = near_duplicates(90, seed=4)
    ids = [f"row-{i:05d}" for i in range(90)]
    arrivals = tmp_path / "arrivals"
    parts = {0: slice(0, 60), 1: slice(60, 90)}
    for night, part in parts.items():
        write_vectors(spark, tmp_path / f"part-{night}", X[part], ids=ids[part])
        rows = spark.read.format("delta").load(str(tmp_path / f"part-{night}"))
        for place in (arrivals, tmp_path / "nights"):
            rows.write.format("delta").mode("append").save(str(place))
        run(spark, nightly(tmp_path / "by-night", tmp_path / "nights"))

    config, failed = nightly(tmp_path / "by-stream", tmp_path / "docs"), []

    def deduplicate(rows, batch_id):
        append = rows.write.format("delta").mode("append").option("txnAppId", "arrivals")
        append.option("txnVersion", batch_id).save(str(tmp_path / "docs"))
        if batch_id == 1 and not failed:
            failed.append(batch_id)
            raise RuntimeError("killed before the run")
        job = open_job(rows.sparkSession, config, run_id=f"arrivals-{batch_id}")
        with held_output(job):
            run_job(job)

    def drain():
        stream = spark.readStream.format("delta").option("maxFilesPerTrigger", 1)
        query = stream.load(str(arrivals)).writeStream.foreachBatch(deduplicate)
        query = query.option("checkpointLocation", str(tmp_path / "checkpoint"))
        query.trigger(availableNow=True).start().awaitTermination()

    with pytest.raises(Exception, match="killed before the run"):
        drain()
    drain()
    assert failed == [1]
    for name in TABLES:
        one, other = (rows_of(spark, tmp_path / which, name) for which in ("by-stream", "by-night"))
        assert one == other, name
    runs = table(spark, config.output, "runs")
    assert {row["run_id"] for row in runs.collect()} == {"arrivals-0", "arrivals-1"}
    before = runs.count()
    drain()  # nothing has come: nothing runs
    assert table(spark, config.output, "runs").count() == before


def nightly(output, source):
    return vectors_job(output, source, score={"recall": "exact", "eps_max": 0.1})
