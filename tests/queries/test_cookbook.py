"""docs/how-to/sql-cookbook.md: every query runs, and what can be checked otherwise is."""

import re
from pathlib import Path

import numpy as np
import pytest

from semdedup_spark import load_config, open_job
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded

COOKBOOK = (Path(__file__).parents[2] / "docs" / "how-to" / "sql-cookbook.md").read_text()
ARGS = {"eps": 0.05, "stricter": 0.02, "before": "strict", "after": "loose"}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", COOKBOOK, flags=re.DOTALL)


def titled(words):
    """The first query under the heading that has these words."""
    _, _, below = COOKBOOK.partition(words)
    assert below, words
    return re.search(r"```sql\n(.*?)```", below, flags=re.DOTALL)[1]


def answer(finished, query, **args):
    args = {name: value for name, value in (ARGS | args).items() if f"{{{name}}}" in query}
    query = query.replace("/lake/source", str(finished.output.with_name("source")))
    query = query.replace("/lake/dedup", str(finished.output))
    return finished.spark.sql(query, **args)


def needs_its_spark(finished, query):
    if "EXACT NEAREST" in query and tuple(map(int, finished.spark.version.split(".")[:2])) < (4, 2):
        pytest.skip("Spark has NEAREST BY from 4.2 on: make test-spark VERSION=4.2")


@pytest.fixture(scope="module")
def frames(finished):
    scores = finished.table("scores").toPandas()
    duplicates = finished.table("duplicates").toPandas()
    own = rows_as_embedded(open_job(finished.spark, load_config(finished.job_file)))
    rows = own.select("id", "source.*").toPandas().set_index("id")
    return scores, duplicates, rows


QUERIES = [query for query in blocks("sql") if not query.startswith("MERGE")]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_every_query_runs_and_answers(finished, query):
    needs_its_spark(finished, query)
    rows = answer(finished, query).collect()
    assert rows or query.startswith("CREATE")


def test_there_are_at_least_ten_questions():
    assert len(re.findall(r"^## \d+\.", COOKBOOK, flags=re.MULTILINE)) >= 10


def test_kept_and_removed_at_an_eps_are_those_of_select(finished, frames):
    _, duplicates, rows = frames
    removed = answer(finished, titled("## 2.")).toPandas()
    assert set(removed["id"]) == set(duplicates["id"])
    kept = answer(finished, titled("## 1.")).toPandas()
    assert set(kept["doc"]) == set(rows.index) - set(duplicates["id"])


def test_group_sizes_are_those_that_pandas_counts(finished, frames):
    _, duplicates, _ = frames
    expected = duplicates.groupby("survivor_id").size().value_counts().to_dict()
    got = answer(finished, titled("## 3.")).collect()
    assert {row["removed_rows"]: row["groups"] for row in got} == expected
    largest = answer(finished, titled("## 4.")).collect()
    assert [row["removed_rows"] for row in largest][:3] == sorted(
        duplicates.groupby("survivor_id").size(), reverse=True
    )[:3]
    for row in largest:
        members = set(duplicates.loc[duplicates["survivor_id"] == row["survivor_id"], "id"])
        assert set(row["least_similar"]) <= members
        assert len(row["least_similar"]) == min(5, len(members))


def test_the_overlap_matrix_holds_every_removed_row_once(finished, frames):
    _, duplicates, rows = frames
    sites = rows["site"]
    expected = (
        duplicates.assign(
            k=sites.loc[duplicates["survivor_id"]].to_numpy(),
            r=sites.loc[duplicates["id"]].to_numpy(),
        )
        .groupby(["k", "r"])
        .size()
        .to_dict()
    )
    got = answer(finished, titled("## 5.")).collect()
    assert {(r["kept_in"], r["removed_from"]): r["removed_rows"] for r in got} == expected


def test_rows_that_return_at_a_stricter_eps_are_what_a_stricter_run_kept(finished, frames):
    _, duplicates, _ = frames
    strict = finished.table("duplicates", version=0).toPandas()
    back = answer(finished, titled("## 6.")).toPandas()
    assert set(back["id"]) == set(duplicates["id"]) - set(strict["id"]) != set()


def test_the_ledger_says_which_versions_two_runs_left_and_they_differ_by_these_rows(
    finished, frames
):
    _, duplicates, _ = frames
    runs = answer(finished, titled("## 9.")).collect()
    assert [(r["run_id"], r["eps"], r["version"]) for r in runs] == [
        ("strict", 0.02, 0),
        ("loose", 0.05, 1),
    ]
    changes = answer(finished, titled("And two versions")).toPandas()
    strict = set(finished.table("duplicates", version=0).toPandas()["id"])
    gone = set(changes.loc[changes["change"] == "is gone", "id"])
    assert gone == set(duplicates["id"]) - strict
    assert not (changes["change"] == "is back").any()


def test_pairs_across_the_split_and_most_duplicated_sources(finished, frames):
    scores, duplicates, rows = frames
    split = rows["split"]
    crossing = (
        split.loc[duplicates["id"]].to_numpy() != split.loc[duplicates["neighbor_id"]].to_numpy()
    )
    pairs = answer(finished, titled("## 7.")).toPandas()
    assert pairs["pairs"].sum() == crossing.sum() > 0
    shares = answer(finished, titled("## 8.")).toPandas().set_index("site")
    M = scores.set_index("id")["max_similarity"].astype(float)
    for site, row in shares.iterrows():
        own = M[rows.index[rows["site"] == site]]
        assert row["scored_rows"] == len(own)
        np.testing.assert_allclose(row["removed_share"], (own > 0.95).mean(), atol=5e-5)


def test_groups_at_another_eps_are_those_a_selection_would_have(finished):
    strict = finished.table("duplicates", version=0).toPandas()
    direct = strict[~strict["neighbor_id"].isin(strict["id"])]
    row = answer(finished, titled("## 11."), eps=0.02).first()
    assert row["groups"] == direct["survivor_id"].nunique() == strict["survivor_id"].nunique()


def test_weights_count_all_scored_rows_and_fates_all_rows(finished, frames):
    scores, duplicates, _ = frames
    weights = answer(finished, titled("## 12.")).toPandas()
    assert len(weights) == len(scores) - len(duplicates)
    assert weights["weight"].sum() == len(scores)
    fates = {row["reason"]: row["n_rows"] for row in answer(finished, titled("## 13.")).collect()}
    quarantined = finished.table("quarantine").count()
    expected = {"kept": len(weights), "similarity": len(duplicates), "quarantined": quarantined}
    assert fates == expected


def test_deleting_in_the_source_leaves_the_kept_rows_and_those_in_quarantine(finished, tmp_path):
    heading = "## 16. Delete the removed rows"
    newest = finished.spark.sql(f"DESCRIBE HISTORY delta.`{finished.output.parent}/source` LIMIT 1")
    embedded = answer(finished, titled(heading)).first()["embedded"]
    assert embedded.endswith(f"@{newest.first()['version']}")
    finished.spark.sql(
        f"CREATE TABLE delta.`{tmp_path}/source` SHALLOW CLONE "
        f"delta.`{finished.output.parent}/source`"
    )
    query = titled("Then, while nobody else writes to the source")
    query = query.replace("/lake/source", f"{tmp_path}/source")
    answer(finished, query)
    left = finished.spark.read.format("delta").load(f"{tmp_path}/source")
    kept = finished.table("deduplicated").count()
    assert left.count() == kept + finished.table("quarantine").count()


@pytest.mark.parametrize("code", blocks("python"))
def test_delta_rs_and_duckdb_give_what_spark_gives(finished, frames, code):
    _, duplicates, _ = frames
    names = {}
    exec(compile(code.replace("/lake/dedup", str(finished.output)), "cookbook", "exec"), names)
    sizes = duplicates.groupby("survivor_id").size()
    largest = names["largest"].set_index("survivor_id")["removed_rows"]
    assert largest.to_dict() == sizes.loc[largest.index].to_dict()
    assert len(names["before"]) == finished.table("duplicates", version=0).count()


@pytest.mark.parametrize("heading", ["## 14. Recall", "### With Spark 4.2"])
def test_recall_by_sql_alone_agrees_with_the_scores(finished, heading):
    needs_its_spark(finished, titled(heading))
    rows = answer(finished, titled(heading)).collect()
    assert 90 <= len(rows) <= 100  # the first row of all has none before it
    above = [row for row in rows if row["true_similarity"] > 0.7 + 1e-6]
    same = [abs(row["max_similarity"] - row["true_similarity"]) <= 1e-6 for row in above]
    assert sum(same) > len(same) / 2  # of this job, which compares within clusters only
    for row, is_same in zip(above, same, strict=True):
        assert is_same or not row["exhaustive"]
        assert row["max_similarity"] <= row["true_similarity"] + 1e-6
