"""Mistakes that published SemDeDup code has made; each test is named for the promise it keeps."""

import numpy as np
import pytest

from tests.jobs.jobfiles import run, table, vectors_job, write_vectors

LONG = "s3://bucket/a-rather-long-prefix/" + "x" * 100 + "/"


def angle(degrees, *rest):
    a = np.deg2rad(degrees)
    return [np.cos(a), np.sin(a), *rest]


# id -> vector: a pair of copies, a near pair, a pair exactly at eps 0.25, two that are alone
ROWS = {
    f"{LONG}1": angle(0, 0, 0),
    f"{LONG}2": angle(0, 0, 0),
    f"{LONG}3": angle(90, 0, 0),
    f"{LONG}4": angle(92, 0, 0),
    f"{LONG}5": [0, 0, 1, 0],
    f"{LONG}6": [0, 0, 0.75, np.sqrt(1 - 0.75**2)],
    f"{LONG}7": [-1, 0, 0, 0],
    f"{LONG}8": [0, -1, 0, 0],
}
NAMES = {name[-1]: name for name in ROWS}


@pytest.fixture(scope="module")
def kept(spark, tmp_path_factory):
    """rank_by, order of the input -> the last letters of the kept ids, and the output folder."""
    root = tmp_path_factory.mktemp("bugs")
    done = {}

    def keep(rank_by="note", order=None, k=1):
        key = (rank_by, tuple(order or ()), k)
        if key not in done:
            place = root / str(len(done))
            X = np.array(list(ROWS.values()))
            write_vectors(spark, place / "in", X, ids=list(ROWS), order=order, files=2)
            config = vectors_job(
                place / "out",
                place / "in",
                cluster={"n_clusters": k},
                score={"rank_by": rank_by},
                select={"eps": 0.25},
            )
            run(spark, config)
            rows = table(spark, place / "out", "deduplicated").collect()
            done[key] = (sorted(r["doc"] for r in rows), place / "out")
        return done[key]

    return keep


def test_of_two_copies_exactly_one_stays(kept):
    names, _ = kept()
    assert (NAMES["1"] in names) + (NAMES["2"] in names) == 1


def test_what_is_a_duplicate_is_removed(kept):
    names, _ = kept()
    assert NAMES["4"] not in names
    assert len(names) < len(ROWS)


def test_a_row_exactly_at_the_threshold_stays(kept):
    names, _ = kept()
    assert {NAMES["5"], NAMES["6"]} <= set(names)


def test_ids_come_out_whole(kept):
    names, _ = kept()
    assert set(names) <= set(ROWS)
    assert min(map(len, names)) == len(LONG) + 1


@pytest.mark.long
def test_each_score_belongs_to_its_own_row_whatever_the_order_of_the_input(spark, kept):
    _, straight = kept()
    _, shuffled = kept(order=[6, 3, 0, 7, 2, 5, 1, 4])
    expected = {"1": 0, "2": 1, "3": 0, "4": np.cos(np.deg2rad(2)), "5": 0, "6": 0.75}
    for output in (straight, shuffled):
        found = {r["id"][-1]: r["max_similarity"] for r in table(spark, output, "scores").collect()}
        for name, similarity in expected.items():
            assert found[name] == pytest.approx(similarity, abs=1e-6)


@pytest.mark.long
def test_low_keeps_the_row_far_from_the_centroid_and_high_the_one_near(spark, kept):
    for rank_by, preferred in (("low", min), ("high", max)):
        names, output = kept(rank_by=rank_by)
        near = {r["id"]: r["centroid_similarity"] for r in table(spark, output, "scores").collect()}
        pair = [NAMES["3"], NAMES["4"]]
        assert [name for name in pair if name in names] == [preferred(pair, key=near.get)]


@pytest.mark.long
def test_rows_of_one_id_are_one_row_and_quarantined_ones(spark, tmp_path):
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    write_vectors(spark, tmp_path / "in", X, ids=["a", "a", "b"])
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "in", cluster={"n_clusters": 1}))
    assert (summary.read, summary.kept, summary.removed, summary.quarantined) == (3, 2, 0, 1)
    reasons = [r["reason"] for r in table(spark, tmp_path / "out", "quarantine").collect()]
    assert reasons == ["duplicate_id"]
