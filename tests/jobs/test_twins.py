"""Rows with one id, of which only the encoder knows which is bad."""

import numpy as np
import pytest

from semdedup_spark import open_job
from semdedup_spark.pipeline import run_embed
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from tests.jobs.jobfiles import table, vectors_job

NAN = [float("nan")] * 4
DDL = "doc string, v array<float>, copy string, night int"


def vector(seed):
    return [float(np.float32(x)) for x in np.random.default_rng(seed).standard_normal(4)]


def embed(spark, tmp_path, rows, **source):
    frame = spark.createDataFrame(rows, DDL).repartition(3)
    frame.write.format("delta").mode("overwrite").save(str(tmp_path / "src"))
    config = vectors_job(tmp_path / "out", tmp_path / "src")
    config = config.model_copy(update={"source": config.source.model_copy(update=source)})
    job = open_job(spark, config)
    record = run_embed(job)
    assert record.counts["embedded"] + record.counts["quarantined"] == len(rows)
    embedded = table(spark, tmp_path / "out", "embeddings").drop("source")
    taken = rows_as_embedded(job).join(embedded, "id").select("id", "source.copy", "batch")
    rejected = table(spark, tmp_path / "out", "quarantine").select("id", "source.copy", "reason")
    return sorted(map(tuple, taken.collect())), sorted(map(tuple, rejected.collect()))


def test_the_good_row_of_an_id_stays_and_the_bad_one_says_why(spark, tmp_path):
    ids = [f"id{i}" for i in range(12)]
    good = [(name, vector(i), f"good{i}", 0) for i, name in enumerate(ids)]
    bad = [(name, NAN, f"bad{i}", 0) for i, name in enumerate(ids[:8])]
    worse = [(ids[0], [0.0] * 4, "worse", 0), (ids[1], vector(77), "second", 0)]
    both_bad = [("none", NAN, "bad", 0), ("none", [0.0] * 4, "zero", 0)]
    taken, rejected = embed(spark, tmp_path, [*bad, *good, *worse, *both_bad])
    assert [row[0] for row in taken] == sorted(ids)
    assert {row[1] for row in taken} - {f"good{i}" for i in range(12)} <= {"second"}
    first = {copy: reason for _, copy, reason in rejected}
    # Those that hash behind the good row were never asked.
    assert set(first.values()) == {"non_finite_vector", "zero_vector", "duplicate_id"}
    assert first["bad"] == "non_finite_vector"
    assert first["zero"] == "zero_vector"

    more = [("new", vector(50), "new", 0)]
    again, still = embed(spark, tmp_path, [*good, *bad, *worse, *both_bad, *more])
    assert [row for row in again if row[0] != "new"] == taken  # nor do they get another batch
    assert still == rejected


@pytest.mark.long
def test_a_row_that_is_there_stays_when_others_of_its_id_come(spark, tmp_path):
    good = [(f"id{i}", vector(i), "first", 0) for i in range(8)]
    taken, _ = embed(spark, tmp_path, good)
    bad = [(f"id{i}", NAN, "bad", 0) for i in range(4)]
    other = [(f"id{i}", vector(100 + i), "later", 0) for i in range(4, 8)]
    again, rejected = embed(spark, tmp_path, [*bad, *other, *good])
    assert again == taken
    assert {reason for *_, reason in rejected} == {"duplicate_id"}
    # Where it leaves, another takes its place.
    left, rejected = embed(spark, tmp_path, [*bad, *other])
    assert [row[:2] for row in left] == [(f"id{i}", "later") for i in range(4, 8)]
    assert {reason for *_, reason in rejected} == {"non_finite_vector"}


@pytest.mark.long
def test_a_good_row_comes_after_its_bad_twin_on_another_night(spark, tmp_path):
    others = [("other", vector(9), "other", 0)]
    bad = [(f"id{i}", NAN, "bad", 0) for i in range(6)]
    embed(spark, tmp_path, [*others, *bad])
    good = [(f"id{i}", vector(i), "good", 1) for i in range(6)]
    taken, rejected = embed(spark, tmp_path, [*others, *bad, *good])
    assert [row[:2] for row in taken] == [*((f"id{i}", "good") for i in range(6)), others[0][::2]]
    assert {(copy, reason) for _, copy, reason in rejected} == {("bad", "non_finite_vector")}
    assert len(rejected) == 6


@pytest.mark.long
def test_batches_of_the_source_decide_among_good_rows_whenever_they_come(spark, tmp_path):
    rows = [("a", NAN, "bad", 0), ("a", vector(2), "late", 2), ("b", vector(3), "b", 2)]
    taken, _ = embed(spark, tmp_path, rows, batch="night")
    assert taken == [("a", "late", 2), ("b", "b", 2)]
    rows += [("a", vector(1), "early", 1)]
    taken, rejected = embed(spark, tmp_path, rows, batch="night")
    assert taken == [("a", "early", 1), ("b", "b", 2)]
    assert rejected == [("a", "bad", "non_finite_vector"), ("a", "late", "duplicate_id")]
    again = embed(spark, tmp_path, [*rows, ("c", vector(5), "c", 3)], batch="night")
    assert again == ([*taken, ("c", "c", 3)], rejected)
