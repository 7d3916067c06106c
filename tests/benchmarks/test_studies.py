"""The small forms of the studies: what they measure is right where the truth is known."""

from __future__ import annotations

import csv

import efficiency
import growth
import numpy as np
import pytest
import robust_encoder
import robust_k
from scored import all_pairs, random_rank, removed_at, shared
from tables import Table

from tests.benchmarks.rows import families, texts_of

X, FAMILY = families()


def column(table, name):
    return [row[list(table.columns).index(name)] for row in table.rows]


def test_a_table_is_printed_to_the_right_and_written_in_full(tmp_path, capsys):
    table = Table("Numbers", ("name", "share", "rows"))
    table.add("a", 1 / 3, 12_345)
    table.add("longer", None, 1)
    table.show()
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "  name     share    rows",
        "  a       0.3333  12,345",
        "  longer       -       1",
    ]
    table.write(tmp_path / "new" / "numbers.csv")
    with (tmp_path / "new" / "numbers.csv").open(newline="") as file:
        assert [row["share"] for row in csv.DictReader(file)] == [str(1 / 3), ""]
    with pytest.raises(ValueError, match="3 values"):
        table.add(1)


def test_the_same_vectors_remove_the_same_rows_and_others_do_not():
    turned = X[:, ::-1].copy()  # the same cosines
    other = families(seed=1)[0]
    tables = robust_encoder.study({"a": X, "turned": turned, "b": other}, texts_of(FAMILY))
    kept = {row[0]: dict(zip(("a", "turned", "b"), row[1:], strict=True)) for row in
            tables["removed_by_both_80"].rows}  # fmt: skip
    assert kept["a"]["turned"] > 0.95
    assert kept["a"]["b"] < 0.9
    for row in tables["agreement"].rows:
        assert row[2] + row[4] <= 1
    thresholds = tables["thresholds"]
    assert column(thresholds, "eps at 80 %")[0] > column(thresholds, "eps at 95 %")[0]
    assert len(tables["only_one"].rows) <= 12


def test_what_is_exact_does_not_depend_on_the_number_of_clusters():
    table = robust_k.study(X, (2, 5, 11, 30), percents=(90, 50))["overlap"]
    by_way = {way: [row for row in table.rows if row[0] == way] for way in
              ("published", "cluster", "exact")}  # fmt: skip
    assert [row[2:4] for row in by_way["exact"]] == [(1.0, 1.0), (1.0, 1.0)]
    assert all(row[3] <= row[2] <= 1 for row in table.rows)
    assert min(row[3] for row in by_way["published"]) < 1


def test_probes_find_more_than_clusters_and_exact_finds_all():
    wide = families(noise=0.6)[0]
    table = efficiency.study(wide, 20, percents=(80, 50))["eta"]
    etas = {row[0]: np.array(row[1:]) for row in table.rows}
    assert (etas["exact"] == 1).all()
    assert (etas["cluster"] < 1).any()
    assert (etas["probes: 1"] >= etas["cluster"]).all()
    assert (etas["probes: 4"] >= etas["probes: 1"]).all()


def test_near_pairs_and_all_pairs_agree_on_what_is_removed():
    rank = random_rank(len(X), seed=3)
    scores = all_pairs(X, rank).max_similarity
    near = efficiency.near_pairs(X, rank, 0.2)
    assert (rank[near.earlier] < rank[near.later]).all()
    assert set(near.later.tolist()) == set(np.flatnonzero(scores > 0.8).tolist())


def test_one_run_tells_what_smaller_corpora_lose():
    tables = growth.study(families(n_families=200)[0])
    differences = np.abs(column(tables["brute_force"], "difference, points"))
    assert differences.mean() < 2
    for name in tables["curve"].columns[1:]:
        largest = column(tables["curve"], name)[-4:]
        assert largest == sorted(largest)
    assert all(row[3] < row[1] for row in tables["sample"].rows)  # 10 % of the rows look better


def test_sets_of_a_share_have_its_size_and_overlap_by_chance():
    rng = np.random.default_rng(0)
    a, b = (removed_at(rng.random(1000).astype(np.float32), 70) for _ in range(2))
    assert a.sum() == b.sum() == 300
    assert shared(a, b) == pytest.approx(0.3, abs=0.08)
    assert shared(a, a) == 1


def test_figures_are_drawn_of_what_is_there(tmp_path):
    pytest.importorskip("matplotlib")
    import figures

    tables = growth.study(families(n_families=40)[0])
    for name, table in tables.items():
        table.write(tmp_path / "growth" / f"{name}.csv")
    figures.main(["--results", str(tmp_path)], standalone_mode=False)
    assert [file.name for file in tmp_path.glob("*.svg")] == ["growth.svg"]
    first = (tmp_path / "growth.svg").read_bytes()
    figures.main(["--results", str(tmp_path)], standalone_mode=False)
    assert (tmp_path / "growth.svg").read_bytes() == first
