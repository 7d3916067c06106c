"""What people may say against a selection: overrides, guards, what must agree."""

from dataclasses import replace

import numpy as np
import pytest

from semdedup_spark import open_job, parse_config
from semdedup_spark.errors import ConfigError, GuardError, SourceError, UnknownRowError
from semdedup_spark.pipeline import run_select
from semdedup_spark.pipeline.operations.diff import diff_runs
from semdedup_spark.pipeline.operations.override import Rows, override_rows, withdraw_overrides
from semdedup_spark.pipeline.queries.tune import run_tune
from semdedup_spark.pipeline.refresh import Basis, refresh_others
from semdedup_spark.presets import PRESETS
from tests.jobs.jobfiles import run, table

TEXTS = {
    1: "2 packs of 12",
    2: "12 in 2 packs",
    3: "2 packs of 24",
    4: "24 in 2 packs",
    50: "chain",
    51: "chain",
    52: "chain",
}


def vector(doc):
    """Rows 1 to 4 are near each other; of 50, 51, 52 each is near the next; the others alone."""
    v = np.zeros(32)
    if doc in (1, 2, 3, 4):
        v[0], v[1] = np.cos(0.05 * doc), np.sin(0.05 * doc)
    elif doc in (50, 51, 52):
        v[2], v[3] = np.cos(0.25 * (doc - 50)), np.sin(0.25 * (doc - 50))
    else:
        v[doc] = 1
    return v.tolist()


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("overriding")
    docs = [*TEXTS, *range(10, 30)]
    rows = [(i, vector(i), TEXTS.get(i, "other"), "y" if i in (3, 4) else "x") for i in docs]
    frame = spark.createDataFrame(rows, "doc bigint, v array<double>, text string, site string")
    frame.coalesce(1).write.format("delta").save(str(root / "source"))
    source = {"kind": "vectors", "format": "delta", "path": str(root / "source")}
    config = parse_config(
        {
            "output": str(root / "out"),
            "source": {**source, "id": "doc", "content": "v"},
            "embed": {"encoder": "none"},
            "cluster": {"n_clusters": 3},
            "score": {"recall": "exact", "rank_by": "doc"},
        }
    )
    run(spark, config)
    return config


def changed(config, **select):
    return config.model_copy(update={"select": type(config.select)(eps=0.05, **select)})


def selected(spark, config, **select):
    """(id to (survivor, reason), ledger row); what must hold of every selection is checked."""
    config = changed(config, **select)
    job = open_job(spark, config)
    record = run_select(job)
    job.ledger.flush()
    ending = f"_{config.select.name}" if config.select.name else ""
    kept = {r["doc"] for r in table(spark, config.output, f"deduplicated{ending}").collect()}
    rows = table(spark, config.output, f"duplicates{ending}").collect()
    removed = {r["id"]: (r["survivor_id"], r["reason"]) for r in rows}
    assert len(kept) + len(removed) == record.counts["read"] == 27
    assert not kept & removed.keys()
    assert all((to in kept) if to else why == "override" for to, why in removed.values())
    return removed, record


@pytest.fixture
def override(spark, lake):
    """To restore and remove rows; every decision is withdrawn at the end."""
    done = []

    def decide(action, *ids, groups=(), reason="looked at it"):
        found = override_rows(open_job(spark, lake), Rows(ids, groups), action, reason)
        done.append(action)
        return found.changed, found.total

    yield decide
    for action in ("keep", "remove"):
        withdraw_overrides(open_job(spark, lake), [str(i) for i in (*TEXTS, 10)], action)
    assert table(spark, lake.output, "overrides").count() == 0


BY = "similarity"
PLAIN = {2: (1, BY), 3: (1, BY), 4: (1, BY), 51: (50, BY), 52: (50, BY)}


def test_a_restored_row_stays_and_what_it_changed_is_told(spark, lake, override):
    removed, plain = selected(spark, lake)
    assert removed == PLAIN
    assert override("keep", "3") == (1, 1)
    without_3 = {2: (1, BY), 4: (3, BY), 51: (50, BY), 52: (50, BY)}  # 4 goes because of 3
    removed, record = selected(spark, lake)
    assert removed == without_3
    assert record.why == "its input overrides changed"
    [change] = diff_runs(open_job(spark, changed(lake)), plain.run_id, record.run_id)
    assert (change.before, change.after, change.why) == ("removed", "kept", "override")
    assert change.sample == ("3",)


@pytest.mark.long
def test_a_restored_row_stays_in_every_selection_until_that_is_withdrawn(spark, lake, override):
    override("keep", "3")
    without_3 = {2: (1, BY), 4: (3, BY), 51: (50, BY), 52: (50, BY)}
    assert selected(spark, lake)[0] == without_3
    assert selected(spark, lake, name="other")[0] == without_3
    assert override("keep", "3") == (0, 1)  # said twice, it changes nothing
    tuning = run_tune(open_job(spark, lake), eps_grid=[0.05])
    assert tuning.overrides == 1
    assert tuning.thresholds[0].removed == len(PLAIN)  # it does not know of the restored row
    assert selected(spark, lake)[1].reused
    overrides = table(spark, lake.output, "overrides")
    assert all(field.metadata["comment"] for field in overrides.schema)
    row = overrides.first()
    assert (row["id"], row["action"], row["reason"]) == (3, "keep", "looked at it")
    assert table(spark, lake.output, "overrides").schema["id"].dataType.simpleString() == "bigint"
    withdraw_overrides(open_job(spark, lake), ["3", "4"], "keep")
    assert selected(spark, lake)[0] == PLAIN


@pytest.mark.long
def test_where_a_survivor_is_removed_the_next_of_its_group_takes_its_place(spark, lake, override):
    override("remove", "1", "52", "10")
    override("keep", "51")
    forced = {1: (None, "override"), 10: (None, "override")}
    for resolution, kept_51 in (("paper", 51), ("cover", 51), ("components", 50)):
        removed, _ = selected(spark, lake, resolution=resolution, name=resolution)
        expected = {**forced, 3: (2, BY), 4: (2, BY), 52: (kept_51, "override")}
        assert removed == expected, resolution


@pytest.mark.long
def test_a_group_is_restored_or_removed_as_a_whole(spark, lake, override):
    selected(spark, lake)
    assert override("keep", groups=["1"])[0] == 3
    assert override("remove", groups=["50"], reason="rubbish")[0] == 3
    nobody = (None, "override")
    assert selected(spark, lake)[0] == {50: nobody, 51: nobody, 52: nobody}
    assert override("keep", "50", reason="not rubbish") == (1, 6)  # a later decision replaces
    assert selected(spark, lake)[0] == {51: (50, "override"), 52: (50, "override")}


def test_rows_and_groups_that_do_not_exist_are_refused(spark, lake):
    selected(spark, lake)
    for ids, groups, word in ((["1", "99"], [], "'99'"), (["x"], [], "'x'"), ([], ["2"], "'2'")):
        with pytest.raises(UnknownRowError, match=word):
            override_rows(open_job(spark, lake), Rows(ids, groups), "keep", "why")
    with pytest.raises(ConfigError, match="--reason"):
        override_rows(open_job(spark, lake), Rows(["1"]), "keep", " ")


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ({"max_removed_fraction": 0.1}, r"at most 0\.1 .*0\.1852 \(5 of 27\)"),
        ({"max_removed_fraction_by": {"site": 0.5}}, r"value of site .*y: 1\.0000 \(2 of 2\)\."),
    ],
)
def test_a_guard_stops_before_any_row_is_written(spark, lake, guards, words):
    def state():
        tables = ("duplicates", "deduplicated", "assignment")
        return [spark.sql(f"DESCRIBE HISTORY delta.`{lake.output}/{t}`").count() for t in tables]

    before = state()
    with pytest.raises(GuardError, match=words) as raised:
        selected(spark, lake, **guards)
    assert raised.value.exit_code == 3
    assert state() == before
    loose = {key: 0.19 if key.endswith("fraction") else {"site": 1.0} for key in guards}
    assert selected(spark, lake, name="loose", **loose)[0] == PLAIN


@pytest.mark.parametrize(
    "resolution",
    ["paper", *(pytest.param(name, marks=pytest.mark.long) for name in ("cover", "components"))],
)
def test_rows_whose_numbers_differ_protect_each_other(spark, lake, resolution):
    asked = [{"column": "text", "pattern": r"\d+"}]
    removed, record = selected(
        spark, lake, name=f"agreeing_{resolution}", resolution=resolution, must_agree=asked
    )
    chain = {} if resolution == "cover" else {52: (50, BY)}
    assert removed == {2: (1, BY), 4: (3, BY), 51: (50, BY), **chain}
    assert record.counts["protected"] == 1
    protected = table(spark, lake.output, f"protected_agreeing_{resolution}")
    assert all(field.metadata["comment"] for field in protected.schema)
    protected = protected.collect()
    assert [r["id"] for r in protected] == [3]
    assert protected[0]["protected_from"] == {"components": 1}.get(resolution, 2)
    assert protected[0]["value"] == '{"text":["2","24"]}'
    assert protected[0]["other_value"] == '{"text":["12","2"]}'


@pytest.mark.parametrize("resolution", ["paper", pytest.param("cover", marks=pytest.mark.long)])
def test_a_row_that_differs_from_its_nearest_goes_for_the_nearest_that_agrees(
    spark, lake, resolution
):
    asked = [{"column": "text", "pattern": "packs|in"}]  # 1 and 3 agree, 2 and 4 do
    name = f"nearest_{resolution}"
    removed, record = selected(spark, lake, name=name, resolution=resolution, must_agree=asked)
    chain = {} if resolution == "cover" else {52: (50, BY)}
    assert removed == {3: (1, BY), 4: (2, BY), 51: (50, BY), **chain}
    assert record.counts["protected"] == 1
    assert "unsearched" not in record.counts
    (row,) = table(spark, lake.output, f"duplicates_{name}").filter("id = 3").collect()
    assert (row["neighbor_id"], row["covered"]) == (1, True)
    assert row["similarity"] == pytest.approx(np.cos(0.1), abs=1e-6)
    (row,) = table(spark, lake.output, f"protected_{name}").collect()
    assert (row["id"], row["protected_from"]) == (2, 1)


@pytest.mark.long
def test_a_preset_protects_rows_and_a_changed_one_selects_again(spark, lake, monkeypatch):
    asked = {"name": "preset", "must_agree": [{"column": "text", "preset": "numbers"}, "site"]}
    removed, first = selected(spark, lake, **asked)
    assert removed == {2: (1, BY), 4: (3, BY), 51: (50, BY), 52: (50, BY)}
    (row,) = table(spark, lake.output, "protected_preset").collect()
    assert row["value"] == '{"text:numbers":["2","24"],"site":"y"}'
    assert selected(spark, lake, **asked)[1].reused
    finds_packs = replace(PRESETS["numbers"], pattern="packs", before=())
    monkeypatch.setitem(PRESETS, "numbers", finds_packs)
    job = open_job(spark, lake)
    basis = Basis(*(job.ledger.last(stage) for stage in ("embed", "cluster", "score")))
    records = {record.stage: record for record in refresh_others(job, basis).records}
    job.ledger.flush()
    again = records["select:preset"]
    assert (again.reused, again.why) == (False, "its input presets changed")
    assert again.result_key != first.result_key
    (row,) = table(spark, lake.output, "protected_preset").collect()
    assert row["value"] == '{"text:numbers":["packs"],"site":"y"}'


def test_columns_that_are_not_there_are_named_before_anything_runs(spark, lake):
    with pytest.raises(SourceError, match=r"select\.must_agree .*'sight'"):
        selected(spark, lake, must_agree=["sight"])
    with pytest.raises(SourceError, match="did you mean 'site'"):
        run(spark, changed(lake, max_removed_fraction_by={"sight": 0.5}))


def test_random_pairs_are_measured_once_for_all_selections(spark, lake):
    first = selected(spark, lake)[1].metrics
    again = selected(spark, lake, name="another")[1].metrics
    assert first == again
    X = np.array([vector(i) for i in [*TEXTS, *range(10, 30)]])
    cosines = (X @ X.T)[np.triu_indices(len(X), 1)]
    np.testing.assert_allclose(first["background_mean"], cosines.mean(), atol=1e-6)
    np.testing.assert_allclose(first["background_p999"], np.quantile(cosines, 0.999), atol=1e-6)
