"""`semdedup audit`: a draw for people, what they said, and recall beside brute force."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner
from pyspark.sql import functions as F

from semdedup_spark.cli import cli
from semdedup_spark.errors import InvalidIdError, SourceError
from semdedup_spark.pipeline.queries.audit.draw import Drawing, draw, draw_removals
from semdedup_spark.pipeline.queries.audit.recall import run_recall_audit
from semdedup_spark.transforms.queries.removal_strata import group_kinds, judged_rows, with_strata
from semdedup_spark.transforms.score.similar_pairs import similar_pairs


@pytest.fixture(scope="module")
def removed(finished):
    return {row["id"]: row for row in finished.table("duplicates").collect()}


@pytest.fixture(scope="module")
def whole(finished):
    """All removals, drawn."""
    return draw_removals(finished.job(), Drawing(n=5_000))


def pairs(removals):
    return [(each.row.id, each.survivor.id) for each in removals]


def test_each_removal_is_drawn_once_beside_its_survivor(whole, removed):
    assert sorted(pairs(whole)) == sorted(
        (str(i), str(row["survivor_id"])) for i, row in removed.items()
    )
    one = whole[0]
    row = removed[int(one.row.id)]
    assert one.similarity == pytest.approx(row["similarity"])
    assert one.neighbor_id == str(row["neighbor_id"])
    assert dict(one.row.columns)["note"] == f"note {int(one.row.id) - 1000}"
    assert sum(row["covered"] is False for row in removed.values()) == sum(
        "not covered" in each.stratum for each in whole
    )


def test_a_larger_draw_holds_a_smaller_one_and_another_seed_draws_others(finished, whole):
    few = draw_removals(finished.job(), Drawing(n=12))
    more = draw_removals(finished.job(), Drawing(n=30))
    assert len(few) == 12 < len(more) == 30 < len(whole)
    assert set(pairs(few)) <= set(pairs(more))
    other = draw_removals(finished.job(), Drawing(n=12, seed=1))
    assert set(pairs(other)) != set(pairs(few))


def test_groups_of_a_draw_add_up_to_all_removals(finished, removed):
    for by in (None, "site"):
        drawn = draw(finished.job(), Drawing(n=30, by=by), None)
        assert drawn.sizes.sum() == len(removed)
        covered = sum(row["covered"] for row in removed.values())
        assert drawn.sizes_at[-1].sum() == covered  # the threshold of the selection itself
        counted = Counter(drawn.of)
        assert all(counted[h] <= size for h, size in enumerate(drawn.sizes))
        similarity = np.array([row["survivor_similarity"] for row in removed.values()], np.float64)
        left = [(similarity > 1 - eps).sum() for eps in drawn.eps_grid]
        assert drawn.sizes_at.sum(axis=1).tolist() == left


def test_what_people_decided_draws_other_removals_of_the_same_groups(finished):
    # What they took away was not chosen by chance, so an earlier draw is no draw of the rest.
    duplicates = finished.table("duplicates")
    kinds = group_kinds(judged_rows(duplicates))
    places = [
        {row["id"]: (row["band"], row["place"]) for row in rows.collect()}
        for rows in (
            with_strata(duplicates, 0.05, seed, kinds) for seed in ((0,), (0, "version 1", "none"))
        )
    ]
    assert places[0].keys() == places[1].keys()
    assert all(places[0][i][0] == places[1][i][0] for i in places[0])
    assert all(places[0][i][1] != places[1][i][1] for i in places[0])


def test_values_of_a_column_are_groups_and_a_missing_column_is_named(finished):
    drawn = draw_removals(finished.job(), Drawing(n=30, by="site"))
    assert any(each.stratum.endswith(", site a.example") for each in drawn)
    with pytest.raises(SourceError, match="--by"):
        draw_removals(finished.job(), Drawing(n=5, by="absent"))


def run(*arguments):
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def judged(path, right):
    """Fill a review file as a reviewer who knows the truth."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        line["judgement"] = "duplicate" if right(line) else "not"
        line["reviewer"] = "truth"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys(), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(lines)
    return lines


def test_verdicts_come_back_as_a_precision_whose_interval_holds_the_truth(
    finished, removed, tmp_path
):
    def right(line):
        return int(line["id"]) % 4 > 0

    review = tmp_path / "review.csv"
    options = ("--config", finished.job_file, "--sample", 60)
    assert "60 removals" in run(*options, "--out", review)
    assert len(judged(review, right)) == 60
    told = json.loads(run(*options, "--verdicts", review, "--json").partition("\n{")[2].join("{ "))
    truth = np.mean([i % 4 > 0 for i in removed])
    assert told["precision"]["low"] <= truth <= told["precision"]["high"]
    assert told["n_open"] == 0
    assert sum(each["n_judged"] for each in told["strata"]) == 60
    # Given again nothing changes, and without a file the table answers.
    assert "verdicts: 0 new or changed, 60 in all" in run(*options, "--verdicts", review)
    assert "precision" in run(*options)
    # All of them judged: no interval is left.
    review_all = tmp_path / "all.csv"
    every = ("--config", finished.job_file, "--sample", 5000)
    run(*every, "--out", review_all)
    judged(review_all, right)
    told = json.loads(
        run(*every, "--verdicts", review_all, "--json").partition("\n{")[2].join("{ ")
    )
    assert told["precision"]["value"] == pytest.approx(truth)
    assert told["precision"]["low"] == pytest.approx(truth, abs=1e-9)
    assert {row["reviewer"] for row in finished.table("verdicts").collect()} == {"truth"}


def test_a_page_for_a_browser_shows_the_verdicts_that_there_are(finished, tmp_path):
    page = tmp_path / "review.html"
    assert "open it in a browser" in run(
        "--config", finished.job_file, "--sample", 20, "--out", page
    )
    assert "note" in page.read_text(encoding="utf-8")


def test_an_id_that_cannot_be_one_is_refused_and_nothing_is_stored(finished, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("id,survivor_id,judgement,reviewer\nx,1001,not,me\n")
    done = CliRunner().invoke(
        cli, ["audit", "--config", str(finished.job_file), "--verdicts", str(bad)]
    )
    assert isinstance(done.exception, InvalidIdError)


@pytest.mark.parametrize(
    "options",
    [
        ("--recall", "--apply"),
        ("--out", "x.txt"),
        ("--out", "x.html", "--verdicts", "y.csv"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_spark_starts(options, tmp_path):
    done = CliRunner().invoke(cli, ["audit", "--config", "absent.yml", *options])
    assert done.exit_code == 2
    assert "Error" in done.output


def test_recall_of_drawn_rows_is_that_of_brute_force(finished):
    scores = finished.table("scores").collect()
    vectors = {r["id"]: r["embedding"] for r in finished.table("embeddings").collect()}
    rank = {r["id"]: (r["batch"], r["rank_key"], r["id"]) for r in scores}
    ids = sorted(rank, key=rank.__getitem__)
    X = np.array([vectors[i] for i in ids], dtype=np.float64)
    best = np.array([0.0, *((X[:i] @ X[i]).max() for i in range(1, len(X)))])
    found = {r["id"]: r["max_similarity"] for r in scores}
    known = np.array([found[i] for i in ids], dtype=np.float64)
    audit = run_recall_audit(finished.job(), 5_000)
    assert audit.n_rows == len(ids) == 240
    for at in audit.by_eps:
        true = np.maximum(best, known) > 1 - at.eps
        assert abs(at.n_true - true.sum()) <= 1  # float32 at the border
        assert at.n_found == (known > 1 - at.eps).sum()
        assert at.recall is None or at.recall.low <= at.recall.value <= at.recall.high
    few = run_recall_audit(finished.job(), 40)
    assert few.n_rows == 40
    assert "recall" in run("--config", finished.job_file, "--recall", "--rows", 40)


def test_scores_that_miss_a_duplicate_are_found_out(spark, finished, monkeypatch):
    # The oracle is brute force: forget what half of the rows know, and recall is about a half.
    from semdedup_spark.pipeline.queries.audit import recall

    whole = recall.read_table

    def forgetful(session, root, table, version=None):
        rows = whole(session, root, table, version)
        if table != "scores":
            return rows
        return rows.withColumn(
            "max_similarity",
            F.expr("IF(id % 2 = 0, CAST(0 AS FLOAT), max_similarity)"),
        )

    monkeypatch.setattr(recall, "read_table", forgetful)
    at = run_recall_audit(finished.job(), 5_000).by_eps[1]
    assert 0 < at.n_found < at.n_true


def test_pairs_of_few_rows_are_those_of_a_product_of_matrices(spark):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    rows = spark.createDataFrame(
        [(i, x.tolist()) for i, x in enumerate(X)], "id long, embedding array<float>"
    ).repartition(3)
    found = similar_pairs(rows.filter("id < 7"), rows, 0.2).collect()
    expected = {(i, j) for i in range(7) for j in range(60) if X[i] @ X[j] > 0.8}
    assert {(r["id"], r["survivor_id"]) for r in found} == expected
    assert all(r["similarity"] == pytest.approx(X[r[0]] @ X[r[1]], abs=1e-6) for r in found)
    assert similar_pairs(rows.filter("id < 0"), rows, 0.2).collect() == []
