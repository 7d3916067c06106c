"""The source is not copied: what is kept is read where it lies, as it was when it was embedded."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from semdedup_spark import open_job, parse_config, read_selection
from semdedup_spark import schema as s
from semdedup_spark.config import CONTENT_HASH
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline import (
    Listener,
    held_output,
    run_cluster,
    run_embed,
    run_forget,
    run_score,
    run_select,
)
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.pipeline.stages.embed import embed_commits
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.states import table_state
from tests.jobs.jobfiles import rows_of, run, scored, table, vectors_job, write_vectors
from tests.jobs.killing import Killed, killed_after
from tests.planted import near_duplicates

LEAN = {"encoder": "none", "copy_source": False}
IDS = {"id": "doc", "content": "v"}
NAN = [float("nan")] * 8


def nasty_rows(n=60):
    """Good rows, near copies, and rows of each kind that does not reach ``embeddings``."""
    X = near_duplicates(n, d=8)
    rows = [(f"row-{i:03d}", [float(x) for x in v], f"note {i}", i % 7) for i, v in enumerate(X)]
    bad = [("bad", NAN, "not finite", 1), (None, rows[0][1], "no id", 1), ("none", None, "none", 1)]
    return [*rows, *bad]


def write(spark, path, rows, form="delta"):
    frame = spark.createDataFrame(rows, "doc string, v array<double>, note string, stars int")
    frame.repartition(2).write.format(form).mode("overwrite").save(str(path))


def job_of(output, source, form="delta", eps=0.05, **stages):
    stages = {"embed": LEAN, "cluster": {"n_clusters": 1}, "select": {"eps": eps}, **stages}
    return vectors_job(output, source, form=form, **stages)


def versions(spark, output):
    root = OutputRoot.parse(str(output))
    tables = (s.DUPLICATES, s.ASSIGNMENT, s.DEDUPLICATED, s.RUNS)
    return {name: table(spark, output, name).count() for name in tables} | {
        name: state.version
        for name in tables[:3]
        if (state := table_state(spark, root, name)) is not None
    }


def kept_of(spark, output):
    return {row["doc"]: row for row in table(spark, output, s.DEDUPLICATED).collect()}


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A Delta and a Parquet source, and an output of each; a third one that copies."""
    root = tmp_path_factory.mktemp("lake")
    write(spark, root / "delta", nasty_rows())
    write(spark, root / "parquet", nasty_rows(), "parquet")
    run(spark, job_of(root / "of_delta", root / "delta"))
    run(spark, job_of(root / "of_parquet", root / "parquet", "parquet"))
    copies = {"encoder": "none", "copy_source": True}
    run(spark, job_of(root / "of_copy", root / "delta", embed=copies))
    return root


@pytest.fixture
def own(lake, tmp_path):
    """The same, for a test that changes it. Paths are part of an output's identity."""

    def copied(form):
        away = lake.with_name(f"{lake.name}-{tmp_path.name}")
        shutil.copytree(lake, away)
        for name in (form, f"of_{form}"):
            shutil.rmtree(lake / name)
            shutil.copytree(away / name, lake / name)
        back.append((away, form))
        return lake / form, lake / f"of_{form}"

    back: list[tuple[Path, str]] = []
    yield copied
    for away, form in back:
        for name in (form, f"of_{form}"):
            shutil.rmtree(lake / name)
            shutil.copytree(away / name, lake / name)


def test_embeddings_tell_of_a_rows_columns_and_do_not_hold_them(spark, lake):
    assert s.SOURCE not in table(spark, lake / "of_delta", s.EMBEDDINGS).columns
    assert s.SOURCE in table(spark, lake / "of_copy", s.EMBEDDINGS).columns


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_kept_rows_are_those_of_a_job_that_copies(spark, lake, form):
    for name in (s.DEDUPLICATED, s.DUPLICATES, s.ASSIGNMENT):
        assert rows_of(spark, lake / f"of_{form}", name) == rows_of(spark, lake / "of_copy", name)
    kept = kept_of(spark, lake / f"of_{form}")
    gone = table(spark, lake / f"of_{form}", s.DUPLICATES).count()
    assert 0 < gone < 60
    assert len(kept) == 60 - gone
    assert not {"bad", "none", None} & set(kept)


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_another_eps_selects_what_was_embedded_although_rows_came_since(spark, own, form):
    source, output = own(form)
    there = spark.read.format(form).load(str(source)).schema
    more = spark.createDataFrame([("new", [1.0] * 8, "came later", 1)], there)
    more.write.format(form).mode("append").save(str(source))
    if form == "delta":  # its version is pinned, whatever became of the table since
        spark.sql(f"UPDATE delta.`{source}` SET note = 'another' WHERE doc = 'row-001'")
    job = open_job(spark, job_of(output, source, form, eps=0.2))
    record = run_select(job)
    counts = record.counts
    assert counts["kept"] + counts["removed"] + counts["quarantined"] == counts["read"] == 63
    kept = kept_of(spark, output)
    assert len(kept) == counts["kept"]
    assert "new" not in kept
    assert {row["note"] for row in kept.values()} <= {f"note {i}" for i in range(60)}


def test_a_file_whose_rows_changed_refuses_another_selection_and_nothing_is_written(spark, own):
    source, output = own("parquet")
    rows = [row if row[0] != "row-001" else (*row[:2], "another", 1) for row in nasty_rows()]
    write(spark, source, rows, "parquet")
    before = versions(spark, output)
    with pytest.raises(StageOrderError, match="Of 60 rows 1 are gone or changed since") as caught:
        run_select(open_job(spark, job_of(output, source, "parquet", eps=0.2)))
    assert caught.value.exit_code == 2
    assert "semdedup run" in caught.value.hint
    assert versions(spark, output) == before
    # What a person asks of the other rows is still answered.
    own_rows = rows_as_embedded(open_job(spark, job_of(output, source, "parquet")))
    assert own_rows.count() == 59


def test_a_version_whose_files_are_gone_refuses_another_selection(spark, own):
    source, output = own("delta")
    old = [Path(f.removeprefix("file:")) for f in table(spark, source, "").inputFiles()]
    write(spark, source, nasty_rows(70))
    for file in old:
        file.unlink()
    before = versions(spark, output)
    with pytest.raises(StageOrderError, match="files are gone, as after VACUUM"):
        run_select(open_job(spark, job_of(output, source, eps=0.2)))
    assert versions(spark, output) == before
    run(spark, job_of(output, source, eps=0.2))  # it embeds what is there now
    assert kept_of(spark, output).keys() >= {"row-000"}


def test_a_forgotten_row_stays_out_although_the_source_still_has_it(spark, own):
    source, output = own("delta")
    gone = sorted(kept_of(spark, output))[0]
    run_forget(open_job(spark, job_of(output, source)), [gone])
    assert gone not in kept_of(spark, output)
    run_select(open_job(spark, job_of(output, source, eps=0.2)))
    assert gone not in kept_of(spark, output)
    left = rows_as_embedded(open_job(spark, job_of(output, source)))
    assert left.count() == 59
    assert left.filter(left.id == gone).count() == 0


@pytest.mark.long
def test_an_order_that_is_asked_for_later_ranks_as_one_from_the_beginning(spark, own, tmp_path):
    source, output = own("delta")
    by_stars = {"rank_by": "stars DESC, note"}
    scored(spark, job_of(output, source, score=by_stars))
    scored(spark, job_of(tmp_path / "fresh", source, score=by_stars))
    terms = table(spark, tmp_path / "fresh", s.EMBEDDINGS).schema[s.RANK_TERMS].dataType
    assert len(terms.fields) == 2
    assert s.RANK_TERMS not in table(spark, output, s.EMBEDDINGS).columns
    assert rows_of(spark, output, s.SCORES) == rows_of(spark, tmp_path / "fresh", s.SCORES)


@pytest.mark.long
def test_an_output_of_the_earlier_layout_is_taken_over_and_encodes_nothing_again(
    spark, own, tmp_path
):
    source, output = own("delta")
    root = OutputRoot.parse(str(output))
    run(spark, job_of(output, source, embed={"encoder": "none", "copy_source": True}))
    mark = table_state(spark, root, s.EMBEDDINGS).mark
    old = table(spark, output, s.EMBEDDINGS).drop(s.ROW_HASH, s.ORDER_HASH)
    replace_table(old.localCheckpoint(), root, s.EMBEDDINGS, mark)
    write(spark, source, [*nasty_rows(), ("new", [1.0] * 8, "came later", 1)])
    record = run_embed(open_job(spark, job_of(output, source)))
    # Ready-made vectors are not counted as encoded; the batch tells what was taken over.
    batches = table(spark, output, s.EMBEDDINGS).orderBy("batch", "id").select("batch", "id")
    old = [(0, f"row-{i:03d}") for i in range(60)]
    assert [tuple(row) for row in batches.collect()] == [*old, (2, "new")]
    assert record.counts["embedded"] == 61
    assert s.SOURCE not in table(spark, output, s.EMBEDDINGS).columns


@pytest.mark.long
def test_ids_made_of_the_content_find_their_rows_again(spark, tmp_path):
    X = np.random.default_rng(0).standard_normal((6, 4))
    write_vectors(spark, tmp_path / "src", [*X, X[0], X[0]], ids=[str(i) for i in range(8)])
    found = {}
    for name, copies in (("out", False), ("copy", True)):
        config = vectors_job(tmp_path / name, tmp_path / "src")
        source = config.source.model_copy(update={"id": CONTENT_HASH})
        embed = config.embed.model_copy(update={"copy_source": copies})
        config = config.model_copy(update={"source": source, "embed": embed})
        run(spark, config)
        found[name] = rows_of(spark, tmp_path / name, s.DEDUPLICATED)
    assert found["out"] == found["copy"]
    assert len(found["out"]) == 6


@pytest.mark.long
def test_an_embedding_killed_under_one_order_goes_on_under_another(
    spark, own, tmp_path, monkeypatch
):
    source, _ = own("delta")
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 20)
    by_stars, by_note = {"rank_by": "stars DESC"}, {"rank_by": "note"}
    with pytest.raises(Killed), killed_after(lambda table, _: table == s.EMBEDDINGS):
        run_embed(open_job(spark, job_of(tmp_path / "out", source, score=by_stars)))
    begun = table(spark, tmp_path / "out", s.EMBEDDINGS).count()
    assert 0 < begun < 60
    run_embed(open_job(spark, job_of(tmp_path / "out", source, score=by_note)))
    made = []
    for name in ("out", "fresh"):
        scored(spark, job_of(tmp_path / name, source, score=by_stars))
        made.append(rows_of(spark, tmp_path / name, s.SCORES))
    assert made[0] == made[1]


def test_nothing_is_erased_where_the_rest_could_not_be_selected_again(spark, own):
    source, output = own("parquet")
    rows = [row if row[0] != "row-001" else (*row[:2], "another", 1) for row in nasty_rows()]
    write(spark, source, rows, "parquet")
    with pytest.raises(StageOrderError, match="1 are gone or changed since"):
        run_forget(open_job(spark, job_of(output, source, "parquet")), ["row-000"])
    assert table(spark, output, s.EMBEDDINGS).filter("id = 'row-000'").count() == 1


@pytest.mark.long
def test_rows_that_a_view_shows_since_it_was_embedded_are_not_kept(spark, tmp_path):
    write(spark, tmp_path / "behind", nasty_rows())
    spark.read.format("delta").load(str(tmp_path / "behind")).createOrReplaceTempView("shown")
    config = job_of(tmp_path / "out", tmp_path / "behind")
    config = parse_config(
        {**config.model_dump(), "source": {"kind": "vectors", "table": "shown", **IDS}}
    )
    job = open_job(spark, config)
    with held_output(job):
        embed = run_embed(job)
        score = run_score(job, embed, run_cluster(job, embed))
        more = [("new", [1.0] * 8, "came later", 1)]
        there = spark.table("shown").schema
        appending = spark.createDataFrame(more, there).write.format("delta").mode("append")
        appending.save(str(tmp_path / "behind"))
        counts = run_select(job, embed, score).counts
    assert "new" not in kept_of(spark, tmp_path / "out")
    assert counts["kept"] + counts["removed"] == 60


def test_an_erased_row_is_out_before_the_erasure_is_counted(spark, own, monkeypatch):
    source, output = own("delta")
    config = job_of(output, source, eps=0.1)
    config = config.model_copy(
        update={"select": type(config.select)(eps=0.1, write="none", name="n")}
    )
    run_select(open_job(spark, config))
    gone = sorted(r["id"] for r in table(spark, output, "assignment_n").filter("kept").collect())[0]
    with pytest.raises(Killed), killed_after(lambda table, _: table == s.EMBEDDINGS):
        run_forget(open_job(spark, config), [gone])
    assert table(spark, output, s.EMBEDDINGS).filter(f"id = '{gone}'").count() == 0
    kept = read_selection(spark, str(output), "n").deduplicated
    assert gone not in {row["doc"] for row in kept.collect()}


def test_a_source_that_is_gone_leaves_the_answer_without_texts(spark, own):
    source, output = own("parquet")
    gone = sorted(r["id"] for r in table(spark, output, s.DUPLICATES).collect())[0]
    shutil.rmtree(source)
    source.mkdir()
    (source / "_SUCCESS").touch()
    said = []
    listener = Listener(noticed=said.append)
    job = open_job(spark, job_of(output, source, "parquet"), listener=listener)
    assert run_explain(job, gone).survivor_id is not None
    assert any("rows of the source are not shown" in each for each in said)
