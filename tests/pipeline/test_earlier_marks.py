"""An output that release 0.1 has written is taken over: nothing is computed again."""

from __future__ import annotations

import json

from semdedup_spark.tables.marks import StageMark
from tests.jobs.jobfiles import near_duplicates, run, vectors_job, write_vectors


def text_of_release_0_1(mark):
    rows, done = mark.rows, mark.progress
    flat = {"run_id": mark.run_id, "stage": mark.stage, "result_key": mark.result_key}
    flat |= {"progress": done.position, "goal": done.goal, "made_with": mark.made_with}
    flat |= {"reused": done.reused, "batch": rows.batch, "origin": rows.origin}
    flat |= {"ordered": rows.ordered, "erased": rows.erased, "content": mark.content}
    return json.dumps(flat)


def test_an_output_with_marks_of_release_0_1_is_taken_over(spark, tmp_path, monkeypatch):
    X = near_duplicates(80)
    write_vectors(spark, tmp_path / "source", X[:70])
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    with monkeypatch.context() as earlier:
        earlier.setattr(StageMark, "text", text_of_release_0_1)
        run(spark, config)
    assert all(record.reused for record in run(spark, config).records)
    write_vectors(spark, tmp_path / "source", X)
    embed, cluster, score, _ = run(spark, config).records
    assert cluster.reused
    assert (score.counts["targets"], score.counts["rows"]) == (10, 80)
    assert embed.counts["embedded"] == 80
