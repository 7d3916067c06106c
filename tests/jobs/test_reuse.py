"""A source that changed costs what changed; the tables are those of a clean run."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from semdedup_spark import open_job, parse_config
from semdedup_spark.errors import MixedEncodersError
from semdedup_spark.pipeline import Listener, run_embed
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.pipeline.stages.embed import embed_commits
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.states import table_state
from tests.jobs.jobfiles import table
from tests.jobs.killing import Killed, killed_after


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_pictures(spark, path, rows):
    """``rows``: (key, image, note)."""
    frame = spark.createDataFrame(rows, "key string, image binary, note string")
    frame.coalesce(1).write.format("delta").mode("overwrite").save(str(path))


def pictures_job(output, source, **embed):
    place = {"kind": "images", "format": "delta", "path": str(source)}
    return parse_config(
        {
            "output": str(output),
            "source": {**place, "id": "key", "content": "image", "columns": ["key", "note"]},
            "embed": {"encoder": "pixels", "image_size": 4, **embed},
        }
    )


def embed(spark, config, **listener):
    return run_embed(open_job(spark, config, listener=Listener(**listener)))


def first_rows(n=60):
    """``n`` rows of which the second half shows what the first half shows, and one bad one."""
    rows = [(f"k{i:03d}", picture(i % (n // 2)), f"note {i}") for i in range(n)]
    return [*rows, ("bad", b"no image", "bad")]


def changed_rows():
    """Of the first rows 5 gone, 3 with another image, 1 good now, 4 with another note; 10 new."""
    rows = first_rows()[5:-1]
    for i in range(3):
        rows[i] = (rows[i][0], picture(500 + i), rows[i][2])
    for i in range(10, 14):
        rows[i] = (*rows[i][:2], "another note")
    return [
        *rows,
        ("bad", picture(900), "good now"),
        *((f"n{i}", picture(i), "") for i in range(10)),
    ]


def same_tables(spark, one, other, *, but=()):
    for name in ("embeddings", "quarantine"):
        both = [table(spark, output, name).drop(*but).collect() for output in (one, other)]
        assert sorted(both[0], key=str) == sorted(both[1], key=str)


def die(progress):
    raise Killed


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """(folder, counts of ``first``). ``source`` has changed since ``first`` was made; ``calm`` is
    made of what it is now. Tests only read these.
    """
    folder = tmp_path_factory.mktemp("reuse")
    write_pictures(spark, folder / "source", first_rows())
    counts = embed(spark, pictures_job(folder / "first", folder / "source")).counts
    write_pictures(spark, folder / "source", changed_rows())
    embed(spark, pictures_job(folder / "calm", folder / "source"))
    return folder, counts


def test_equal_payloads_go_through_the_model_once(spark, lake):
    folder, counts = lake
    expected = {"read": 61, "embedded": 60, "embedded_distinct": 30, "encoded": 30, "reused": 0}
    counted = {name: n for name, n in counts.items() if name != "schema"}
    assert counted == {**expected, "quarantined": 1, "has_id": 1, "unique_ids": 1}
    vectors = {
        r["id"]: r["embedding"] for r in table(spark, folder / "first", "embeddings").collect()
    }
    assert all(vectors[f"k{i:03d}"] == vectors[f"k{i + 30:03d}"] for i in range(30))


def test_a_changed_source_keeps_the_vectors_of_what_did_not_change(spark, lake, tmp_path):
    folder, _ = lake
    shutil.copytree(folder / "first", tmp_path / "out")
    config = pictures_job(tmp_path / "out", folder / "source")
    seen = []
    record = embed(spark, config, progress=seen.append)
    assert record.why == "its input source changed"
    # 55 - 3 as they were; 3 others, 1 that is good now, 10 new ones
    kept = {"read": 66, "embedded": 66, "reused": 52, "encoded": 14, "quarantined": 0}
    assert {name: record.counts[name] for name in kept} == kept
    assert (seen[0].before, seen[-1].rows) == (52, 66)
    same_tables(spark, tmp_path / "out", folder / "calm", but=["batch"])
    rows = table(spark, tmp_path / "out", "embeddings")
    own = rows_as_embedded(open_job(spark, config))
    assert (
        rows.drop("source")
        .join(own, "id")
        .filter("source.note = 'another note' AND batch = 0")
        .count()
        == 4
    )
    new = {row["id"] for row in rows.filter("batch = 1").collect()}
    assert new == {"bad", "k005", "k006", "k007", *(f"n{i}" for i in range(10))}
    assert rows.filter("batch > 1").count() == 0


@pytest.mark.long
@pytest.mark.parametrize("first_commit", [10, 10_000])
def test_killed_while_it_reuses_it_continues_and_encodes_nothing_twice(
    spark, lake, tmp_path, monkeypatch, first_commit
):
    write_pictures(spark, tmp_path / "source", first_rows())
    config = pictures_job(tmp_path / "out", tmp_path / "source")
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "pixels", 20)
    with pytest.raises(Killed):  # in the middle, and the source changes before it goes on
        embed(spark, config, progress=die)
    before = table(spark, tmp_path / "out", "embeddings").count()
    assert 0 < before < 60
    write_pictures(spark, tmp_path / "source", changed_rows())
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "pixels", first_commit)
    if first_commit == 10:  # again after the first new rows
        with pytest.raises(Killed):
            embed(spark, config, progress=die)
    else:  # again between the commit of the reused rows and the next one
        with pytest.raises(Killed), killed_after(lambda table, _: table == "embeddings"):
            embed(spark, config)
    record = embed(spark, config)
    assert 0 < record.counts["reused"] <= before
    assert record.counts["embedded"] == 66
    same_tables(spark, tmp_path / "out", lake[0] / "calm")


def test_another_encoder_reuses_nothing(spark, lake, tmp_path):
    folder, _ = lake
    shutil.copytree(folder / "first", tmp_path / "out")
    counts = embed(spark, pictures_job(tmp_path / "out", folder / "source", image_size=2)).counts
    assert (counts["reused"], counts["encoded"]) == (0, 34)
    vectors = table(spark, tmp_path / "out", "embeddings")
    assert {len(row["embedding"]) for row in vectors.collect()} == {12}
    # and the table itself says who made them
    comment = vectors.schema["embedding"].metadata["comment"]
    assert "made with pixels rgb 2x2" in comment


@pytest.mark.long
def test_two_encoders_never_meet_in_one_table(spark, tmp_path, monkeypatch):
    """Also where the lease ended while this run slept, and another run came in between."""
    write_pictures(spark, tmp_path / "source", first_rows())
    embed(spark, pictures_job(tmp_path / "other", tmp_path / "source", image_size=2))
    rows = table(spark, tmp_path / "other", "embeddings")
    there, here = (OutputRoot.parse(str(tmp_path / name)) for name in ("other", "out"))
    mark = table_state(spark, there, "embeddings").mark
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "pixels", 20)

    def intrude(progress):
        replace_table(rows, here, "embeddings", mark)

    config = pictures_job(tmp_path / "out", tmp_path / "source")
    with pytest.raises(MixedEncodersError, match=r"pixels rgb 4x4.*pixels rgb 2x2"):
        embed(spark, config, progress=intrude)
    lengths = {len(r["embedding"]) for r in table(spark, tmp_path / "out", "embeddings").collect()}
    assert lengths == {12}


@pytest.mark.parametrize("most", [100, 3, 0])
def test_known_rows_are_told_from_the_others_whichever_side_is_sent(spark, monkeypatch, most):
    monkeypatch.setattr(embed_commits, "MOST_BROADCAST", most)
    columns = "id string, content_hash bigint, payload string"
    known = [("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x"), ("d", 4, "x")]
    new = [("b", 9, "changed"), ("e", 5, "new"), (None, 7, None), (None, 7, None), ("e", 8, None)]
    rows = spark.createDataFrame([*known[:2], *new, known[3]], columns)
    table = spark.createDataFrame(known, columns)
    left = embed_commits.not_known(rows, table, n_known=4, n_new=3)
    assert left.columns == rows.columns
    assert sorted(map(str, left.collect())) == sorted(
        map(str, spark.createDataFrame(new, columns).collect())
    )
