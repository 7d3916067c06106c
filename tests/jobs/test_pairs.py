"""What people say of pairs: kept apart for good, and golden pairs that stop a selection."""

from datetime import datetime, timezone

import pytest

from semdedup_spark import open_job
from semdedup_spark.answers.audit import Verdict
from semdedup_spark.errors import ConfigError, GuardError, SourceError
from semdedup_spark.pipeline import run_forget
from semdedup_spark.pipeline.operations.verdicts import apply_verdicts, store_verdicts
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.refresh import Basis, refresh_others
from tests.jobs.jobfiles import table
from tests.jobs.test_overriding import BY, PLAIN, changed, lake, selected  # noqa: F401  a fixture

# A newer verdict counts. Tests share an output, so each judges later than the one before it.
LONG_AGO, LATER, SINCE, LAST = (datetime(y, 1, 1, tzinfo=timezone.utc) for y in range(2026, 2030))


def judged(spark, config, judgement, *pairs, at=LONG_AGO):
    said = [Verdict(str(a), str(b), judgement, "me", at) for a, b in pairs]
    store_verdicts(open_job(spark, config), said)
    return apply_verdicts(open_job(spark, config))["never_merge"]


def test_pairs_judged_apart_stay_apart_and_a_third_row_may_still_stand_for_one(spark, lake):  # noqa: F811
    selected(spark, lake)
    # Of the last pair either row may be named first: 52 ranks after 50, and is similar to 51 alone.
    assert judged(spark, lake, "not", (3, 1), (4, 1), (50, 52)).total == 3
    removed, record = selected(spark, lake)
    # 4 may not go for 1, but 3 stays, ranks before it and is similar enough.
    assert removed == {2: (1, BY), 4: (3, BY), 51: (50, BY)}
    assert "never_merge" in record.why
    protected = table(spark, lake.output, "protected").collect()
    assert {r["id"]: r["protected_from"] for r in protected} == {3: 1, 52: 50}
    reasons = {r["id"]: r["reason"] for r in table(spark, lake.output, "assignment").collect()}
    assert (reasons[3], reasons[4], reasons[52]) == ("protected", BY, "protected")
    assert run_explain(open_job(spark, changed(lake)), "3").protected_from == 1
    assert judged(spark, lake, "duplicate", (4, 1), (50, 52), at=LATER).total == 1


@pytest.mark.long
def test_verdicts_hold_by_every_rule_until_a_newer_one_takes_them_back(spark, lake):  # noqa: F811
    judged(spark, lake, "not", (3, 1), (4, 1), (50, 52), at=SINCE)
    # By another rule, and where sites must agree: those of 1 and 3 differ, of 3 and 4 not.
    removed, _ = selected(spark, lake, resolution="components", name="other", must_agree=["site"])
    assert removed == {2: (1, BY), 4: (3, BY), 51: (50, BY)}
    # A newer verdict takes pairs out again, and a skipped one says nothing.
    judged(spark, lake, "skip", (3, 1), at=LAST)
    assert judged(spark, lake, "duplicate", (4, 1), (50, 52), at=LAST).total == 1
    assert selected(spark, lake)[0] == {i: to for i, to in PLAIN.items() if i != 3}


def test_golden_pairs_stop_a_selection_that_breaks_one(spark, lake, tmp_path):  # noqa: F811
    golden = tmp_path / "pairs.csv"
    golden.write_text("id,other_id,expect\n2,1,merge\n2,4,merge\n1,50,apart\n999,1,apart\n")
    removed, record = selected(spark, lake, golden=str(golden), name="golden")
    assert (record.counts["golden"], record.counts["golden_absent"]) == (3, 1)
    assert selected(spark, lake, golden=str(golden), name="golden")[1].reused
    # Another file is another condition, also for whoever brings named selections up to date.
    golden.write_text("id,other_id,expect\n2,1,merge\n")
    job = open_job(spark, changed(lake))
    basis = Basis(*(job.ledger.last(stage) for stage in ("embed", "cluster", "score")))
    again = {each.stage: each for each in refresh_others(job, basis).records}["select:golden"]
    assert again.counts["golden"] == 1
    golden.write_text("id,other_id,expect\n1,50,merge\n2,1,apart\n4,1,merge\n")
    with pytest.raises(
        GuardError, match="2 of 3 are not: '1' and '50' would stay apart"
    ) as stopped:
        selected(spark, lake, golden=str(golden), name="golden")
    assert "'2' and '1' would be merged" in str(stopped.value)
    assert table(spark, lake.output, "duplicates_golden").count() == len(removed)  # as it was


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,other_id\n1,2\n", "columns"),
        ("id,other_id,expect\n1,2,maybe\n", "pair 1"),
        ("id,other_id,expect\n", "1 to 10,000 pairs"),
        (None, "readable"),
    ],
)
def test_a_wrong_file_of_golden_pairs_is_refused(tmp_path, text, said):
    from semdedup_spark.pipeline.stages.select.golden import read_golden

    path = tmp_path / "pairs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_golden(str(path))


@pytest.mark.long
def test_a_forgotten_row_leaves_the_verdicts_and_the_pairs(spark, lake):  # noqa: F811
    # 998 was judged once, and is no row any more.
    pairs = (3, 1), (4, 2), (51, 50), (998, 50)
    judged(spark, lake, "not", *pairs, at=datetime.now(timezone.utc))
    job = open_job(spark, changed(lake))
    forgotten = run_forget(job, ["1", "998", "999"])
    assert forgotten.unknown == (999,)
    assert any("verdicts" in place for place in forgotten.tables)
    for name in ("verdicts", "never_merge"):
        rows = table(spark, lake.output, name).collect()
        assert rows
        assert all({1, 998}.isdisjoint((row["id"], row["survivor_id"])) for row in rows)


def test_a_table_of_pairs_without_its_columns_is_refused_in_words(spark, lake):  # noqa: F811
    place = f"delta.`{lake.output}/never_merge`"
    spark.sql(f"CREATE OR REPLACE TABLE {place} USING delta AS SELECT 3L AS id, 1L AS survivor_id")
    before = table(spark, lake.output, "embeddings").count()
    with pytest.raises(SourceError, match="id, survivor_id, reason, changed_at"):
        selected(spark, lake)
    with pytest.raises(SourceError, match="id, survivor_id, reason, changed_at"):
        run_forget(open_job(spark, changed(lake)), ["20"])
    assert table(spark, lake.output, "embeddings").count() == before  # nothing is erased by half
