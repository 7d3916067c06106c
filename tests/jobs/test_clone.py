"""``select.write: clone``: the kept rows are a version of the source that leaves the others out."""

import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from pyspark.sql import SparkSession

from semdedup_spark import open_job, parse_config, read_selection
from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError, StageOrderError
from semdedup_spark.pipeline import run_forget, run_select
from semdedup_spark.pipeline.operations.maintain import maintain
from semdedup_spark.pipeline.queries.sql import run_sql
from semdedup_spark.tables.catalog import OutputRoot, history
from semdedup_spark.tables.delta_files import open_version
from tests.jobs.jobfiles import rows_of, run, table, vectors_job
from tests.jobs.killing import Killed
from tests.planted import near_duplicates

NAN = [float("nan")] * 8
# Of a table that would refuse the deletion, or write the rows that go once more.
PROPERTIES = "'delta.appendOnly' = 'true', 'delta.enableChangeDataFeed' = 'true'"
CHANGEABLE = "'delta.appendOnly' = 'false'"
FIRST, SECOND = s.clones_of(None)


def rows(n=60):
    """Good rows, near copies, and rows of each kind that is never kept."""
    X = near_duplicates(n, d=8)
    good = [(f"row-{i:03d}", [float(x) for x in v], f"note {i}") for i, v in enumerate(X)]
    bad = [("bad", NAN, "not finite"), (None, good[0][1], "no id"), (None, None, "nor vector")]
    return [*good, *bad]


def write(spark, path, rows):
    frame = spark.createDataFrame(rows, "`the-id` string, v array<double>, note string")
    frame.repartition(2).write.format("delta").mode("overwrite").save(str(path))


def set_properties(spark, source, properties):
    spark.sql(f"ALTER TABLE delta.`{source}` SET TBLPROPERTIES ({properties})")


def job_of(output, source, eps=0.05, *, write="clone", copies=True, **select):
    config = vectors_job(
        output,
        source,
        embed={"encoder": "none", "copy_source": copies},
        cluster={"n_clusters": 1},
        select={"eps": eps, "write": write, **select},
    ).model_dump()
    return parse_config({**config, "source": {**config["source"], "id": "the-id"}})


def select(spark, config):
    return run_select(open_job(spark, config))


def kept(spark, output, name=None):
    rows = read_selection(spark, str(output), name).deduplicated
    return {row["the-id"] for row in rows.collect()}


def versions(spark, output, *tables):
    root = OutputRoot.parse(str(output))
    return [len(history(spark, root, name, limit=99)) for name in tables]


def files_with_rows(output, name):
    """Those that are larger than a file without rows."""
    files = [file for file in Path(output, name).glob("*.parquet") if file.stat().st_size > 2000]
    return [file for file in files if "_delta_log" not in str(file)]


def vacuumed(files):
    for file in files:
        Path(unquote(file.removeprefix("file:"))).unlink()


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A source, and an output of it with a clone; another one with a copy."""
    root = tmp_path_factory.mktemp("the lake")
    write(spark, root / "source", rows())
    set_properties(spark, root / "source", PROPERTIES)
    run(spark, job_of(root / "clone", root / "source"))
    run(spark, job_of(root / "copy", root / "source", write="table"))
    return root


@pytest.fixture
def own(lake, tmp_path):
    """The source and the output with a clone, for a test that changes them."""
    names = ("source", "clone")
    for name in names:
        shutil.copytree(lake / name, tmp_path / "before" / name)
    yield lake / "source", lake / "clone"
    for name in names:
        shutil.rmtree(lake / name)
        shutil.copytree(tmp_path / "before" / name, lake / name)


def test_a_clone_shows_the_rows_of_the_copy_and_holds_none(spark, lake):
    clone, copy = table(spark, lake / "clone", FIRST), table(spark, lake / "copy", s.DEDUPLICATED)
    assert clone.columns == copy.columns
    assert rows_of(spark, lake / "clone", FIRST) == rows_of(spark, lake / "copy", s.DEDUPLICATED)
    assert 0 < clone.count() < 60
    assert not files_with_rows(lake / "clone", FIRST)
    assert files_with_rows(lake / "copy", s.DEDUPLICATED)
    assert not (lake / "clone" / s.DEDUPLICATED).exists()


@pytest.mark.long
def test_the_kept_rows_are_read_by_all_that_reads_a_selection(spark, lake):
    ids = {row["the-id"] for row in table(spark, lake / "copy", s.DEDUPLICATED).collect()}
    assert kept(spark, lake / "clone") == ids
    job = open_job(spark, job_of(lake / "clone", lake / "source"))
    counted = run_sql(job, "SELECT count(*) FROM deduplicated", limit=1).rows
    assert counted == ((str(len(ids)),),)
    with pytest.raises(SourceError, match="deletionVectors") as caught:
        open_version(str(lake / "clone" / FIRST))
    assert "select.write: table" in caught.value.hint


@pytest.mark.long
def test_a_second_run_reuses_the_clone_and_one_that_was_changed_is_made_again(spark, own):
    source, output = own
    before = versions(spark, output, FIRST, SECOND)
    assert all(record.reused for record in run(spark, job_of(output, source)).records)
    assert versions(spark, output, FIRST, SECOND) == before
    ids = kept(spark, output)
    spark.sql(f"DELETE FROM delta.`{output}/{FIRST}` WHERE note LIKE '%1%'")
    record = select(spark, job_of(output, source))
    assert f"the table {FIRST} was changed or removed since" in record.why
    assert SECOND in record.outputs
    assert kept(spark, output) == ids


@pytest.mark.long
def test_clones_take_turns_and_the_one_that_is_read_is_never_touched(spark, own):
    source, output = own
    seen = kept(spark, output)
    for eps, clone, other in ((0.2, SECOND, FIRST), (0.05, FIRST, SECOND), (1e-6, SECOND, FIRST)):
        before = versions(spark, output, other)
        record = select(spark, job_of(output, source, eps))
        counts, ids = record.counts, kept(spark, output)
        assert clone in record.outputs
        assert versions(spark, output, other) == before
        assert len(ids) == counts["kept"]
        assert counts["kept"] + counts["removed"] + counts["quarantined"] == counts["read"] == 63
        assert (ids == seen) == (eps == 0.05)


@pytest.mark.long
def test_from_a_clone_to_a_table_to_nothing_and_back(spark, own):
    source, output = own
    ids = kept(spark, output)
    assert select(spark, job_of(output, source, write="table")).outputs.keys() >= {s.DEDUPLICATED}
    assert kept(spark, output) == ids
    with pytest.raises(ConfigError, match=r"select\.write: clone there must be no table"):
        select(spark, job_of(output, source))
    shutil.rmtree(output / s.DEDUPLICATED)
    for how in ("none", "clone"):
        select(spark, job_of(output, source, write=how))
        assert kept(spark, output) == ids


@pytest.mark.parametrize(
    "statement",
    [
        "MERGE INTO",
        *(pytest.param(each, marks=pytest.mark.long) for each in ("CREATE OR", "ALTER TABLE")),
    ],
)
@pytest.mark.long
def test_a_run_that_is_killed_leaves_the_rows_of_before_and_the_next_one_ends_it(
    spark, own, monkeypatch, statement
):
    source, output = own
    before, sql = kept(spark, output), SparkSession.sql
    job = open_job(spark, job_of(output, source, 0.2))

    def dies(session, text, *args, **kwargs):
        done = sql(session, text, *args, **kwargs)
        if text.startswith(statement):
            raise Killed
        return done

    with monkeypatch.context() as patched:
        patched.setattr(SparkSession, "sql", dies)
        with pytest.raises(Killed):
            run_select(job)
    assert kept(spark, output) == before
    record = select(spark, job_of(output, source, 0.2))
    assert len(kept(spark, output)) == record.counts["kept"] < len(before)


@pytest.mark.long
def test_another_version_of_the_source_is_cloned_although_no_row_has_changed(spark, own):
    source, output = own
    ids, old = kept(spark, output), table(spark, source, "").inputFiles()
    set_properties(spark, source, CHANGEABLE)
    spark.sql(f"OPTIMIZE delta.`{source}`")
    selected = run(spark, job_of(output, source)).records[3]
    assert "its input cloned changed" in selected.why
    vacuumed(old)
    assert kept(spark, output) == ids


@pytest.mark.long
def test_maintenance_leaves_the_rows_where_they_are(spark, own):
    source, output = own
    ids = kept(spark, output)
    tidied = {each.table: each for each in maintain(open_job(spark, job_of(output, source)))}
    assert "a clone: its rows are those of the source" in tidied[FIRST].spared
    assert not files_with_rows(output, FIRST)
    assert kept(spark, output) == ids
    assert select(spark, job_of(output, source)).reused


@pytest.mark.parametrize("names", [[], pytest.param(["strict"], marks=pytest.mark.long)])
@pytest.mark.long
def test_a_forgotten_row_leaves_every_clone(spark, own, names):
    source, output = own
    gone = min(kept(spark, output))
    for name in names:
        select(spark, job_of(output, source, 1e-6, name=name))
        assert gone in kept(spark, output, name)
    run_forget(open_job(spark, job_of(output, source)), [gone])
    for name in (None, *names):
        left = read_selection(spark, str(output), name)
        assert gone not in kept(spark, output, name)
        assert left.deduplicated.count() == left.assignment.filter("kept").count()


@pytest.mark.long
def test_where_files_of_the_version_are_gone_nothing_is_selected_and_nothing_erased(spark, own):
    source, output = own
    config = job_of(output, source)
    old = table(spark, source, "").inputFiles()
    set_properties(spark, source, CHANGEABLE)
    write(spark, source, rows(70))
    vacuumed(old)
    names = (s.DUPLICATES, s.ASSIGNMENT, s.EMBEDDINGS, FIRST, SECOND)
    before = versions(spark, output, *names)
    with pytest.raises(StageOrderError, match="files are gone, as after VACUUM"):
        select(spark, job_of(output, source, 0.2))
    with pytest.raises(StageOrderError, match="files are gone, as after VACUUM"):
        run_forget(open_job(spark, config), ["row-000"])
    assert versions(spark, output, *names) == before
    assert run(spark, config).kept == len(kept(spark, output))


def test_what_cannot_be_cloned_is_refused_before_any_work(spark, own, tmp_path):
    source, _ = own
    config = job_of(tmp_path / "out", source)
    frames = {s.EMBEDDINGS: spark.read.format("delta").load(str(source))}
    with pytest.raises(ConfigError, match=r"must be a Delta table\. Got a DataFrame"):
        run(spark, config, frames=frames)
    frames[s.EMBEDDINGS].createOrReplaceTempView("shown")
    view = {"kind": "vectors", "table": "shown", "id": "the-id", "content": "v"}
    with pytest.raises(SourceError, match=r"only its versions can be cloned\. Got 'shown'"):
        run(spark, parse_config({**config.model_dump(), "source": view}))
    set_properties(spark, source, CHANGEABLE)
    write(spark, source, [*rows(), rows()[0]])
    with pytest.raises(SourceError, match="Several rows share one in 'the-id'"):
        run(spark, config)
    assert not (tmp_path / "out" / s.EMBEDDINGS).exists()


@pytest.mark.long
def test_in_a_catalog_a_view_shows_the_clone(spark, lake):
    spark.sql("CREATE SCHEMA clone_test")
    try:
        named = spark.read.format("delta").load(str(lake / "source"))
        named.write.format("delta").saveAsTable("clone_test.docs")
        source = {"kind": "vectors", "table": "clone_test.docs", "id": "the-id", "content": "v"}

        def config(eps):
            output = "spark_catalog.clone_test"
            tree = job_of(output, lake / "source", eps, copies=False).model_dump()
            return parse_config({**tree, "source": source})

        counts = [run(spark, config(0.2)).kept]
        assert spark.table("clone_test.deduplicated").count() == counts[0]
        assert spark.catalog.getTable("clone_test.deduplicated").tableType == "VIEW"
        counts.append(select(spark, config(0.05)).counts["kept"])
        shown = {row["the-id"] for row in spark.table("clone_test.deduplicated").collect()}
        assert shown == kept(spark, lake / "copy")
        assert counts[0] < counts[1] == len(shown)
        spark.sql("DROP VIEW clone_test.deduplicated")
        assert select(spark, config(0.05)).reused
        assert spark.table("clone_test.deduplicated").count() == len(shown)
    finally:
        spark.sql("DROP SCHEMA clone_test CASCADE")
