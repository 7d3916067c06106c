"""A job whose rank order is SQL: the row that it prefers survives, or it is refused at once."""

from __future__ import annotations

import pytest

from semdedup_spark.errors import ConfigError
from tests.jobs.jobfiles import run, table, vectors_job


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    """Three copies of each of two vectors; ``quality`` and ``note`` tell the copies apart."""
    rows = [
        (0, [1.0, 0.0], 0.5, "long"),
        (1, [1.0, 0.0], None, "longest"),
        (2, [1.0, 0.0], 0.5, "longer"),
        (3, [0.0, 1.0], 0.1, "a"),
        (4, [0.0, 1.0], float("nan"), "b"),
        (5, [0.0, 1.0], 0.3, "c"),
    ]
    path = tmp_path_factory.mktemp("ranked") / "source"
    frame = spark.createDataFrame(rows, "doc int, v array<double>, quality double, note string")
    frame.repartition(3).write.format("delta").save(str(path))
    return path


@pytest.mark.parametrize(
    ("rank_by", "survivors"),
    [
        ("quality DESC, length(note) DESC", {2, 4}),
        ("quality, doc", {1, 3}),
        ("nanvl(quality, -1) DESC NULLS FIRST", {1, 5}),
    ],
)
def test_the_row_that_the_order_prefers_survives(spark, source, rank_by, survivors):
    output = source.parent / "out"  # the same for all, so that only scores are made again
    config = vectors_job(output, source, score={"rank_by": rank_by}, cluster={"n_clusters": 1})
    assert run(spark, config).kept == 2
    assert {row["doc"] for row in table(spark, output, "deduplicated").collect()} == survivors


@pytest.mark.parametrize("columns", [None, ["doc", "note"]])
def test_an_order_that_the_source_cannot_have_writes_nothing(spark, source, tmp_path, columns):
    name = "qualty" if columns is None else "quality"
    config = vectors_job(tmp_path / "out", source, score={"rank_by": f"note, {name} DESC"})
    config = config.model_copy(
        update={"source": config.source.model_copy(update={"columns": columns})}
    )
    with pytest.raises(ConfigError, match=f"'note, {name} DESC': .*'{name}'"):
        run(spark, config)
    assert not (tmp_path / "out").exists()
