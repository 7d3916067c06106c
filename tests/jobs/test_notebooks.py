"""The notebooks run as plain Python, on little data."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def run_small(spark, shared_data, tmp_path_factory):
    """Both write to one place, so that the second finds the tables of the first."""
    for package in ("IPython", "matplotlib", "torchvision", "deltalake"):
        pytest.importorskip(package)
    sizes = {
        "LIMIT": "300",
        "SEEDS": "2",
        "STEPS": "2,4",
        "CLUSTERS": "20",
        "DATA": str(shared_data),
    }
    settings = {**sizes, "OUT": str(tmp_path_factory.mktemp("notebooks"))}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(f"SEMDEDUP_{name}", value)
        yield lambda name: runpy.run_path(str(NOTEBOOKS / f"{name}.py"))


@pytest.mark.long
def test_the_dedup_notebook_runs_and_its_rows_are_aligned(run_small, capsys):
    names = run_small("dedup")
    assert names["kept"].sum() == sum(-(-n // 4) for n in np.bincount(names["labels"]))
    true, control = (
        names["cramers_v"](which, names["classes"])
        for which in (names["labels"], names["shuffled"])
    )
    assert true > control + 0.2  # clusters and rows out of step would not be told apart
    assert "by both" in capsys.readouterr().out


@pytest.mark.long
def test_the_train_notebook_compares_selections_of_one_size(run_small, capsys):
    names = run_small("train")
    chance = [names["random_subset"](seed) for seed in (0, 1)]
    assert len(names["diverse"]) == len(chance[0]) == len(chance[1]) < 300 / 3
    assert [row["id"] for row in chance[0]] != [row["id"] for row in chance[1]]
    assert {len(found) for found in names["runs"].values()} == {2}
    wide = names["accuracies"](names["OUT"] / "copies", (25, 50))
    assert list(wide.index) == [("25 %", 2), ("25 %", 4), ("50 %", 2), ("50 %", 4)]
    assert wide.columns[0] == "random subset"
    assert not wide.isna().any(axis=None)


def test_the_notebook_of_texts_shows_what_went_and_what_other_thresholds_keep(
    monkeypatch, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SEMDEDUP_LIMIT", "60")
    monkeypatch.setenv("SEMDEDUP_OUT", str(tmp_path))
    names = runpy.run_path(str(NOTEBOOKS / "texts.py"))
    assert len(names["loose"]) < len(names["result"]) < len(names["docs"]) == 60
    assert names["edge"]["similarity"].is_monotonic_increasing
    assert names["assignment"]["copies"].sum() == 60
    assert "removed" in capsys.readouterr().out
    assert "<mark>" in (tmp_path / "texts.html").read_text()


@pytest.mark.long
def test_the_notebook_of_a_delta_table_pays_on_the_second_night_for_new_rows(
    spark, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("SEMDEDUP_OUT", str(tmp_path))
    names = runpy.run_path(str(NOTEBOOKS / "lake.py"))
    both = names["result"].summary, names["later"].summary
    assert [summary.read for summary in both] == [20, 25]
    assert both[1].records[2].counts["targets"] == 5
    assert both[1].removed > both[0].removed > 0
    assert "similarity" in capsys.readouterr().out
