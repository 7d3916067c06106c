"""A sweep on toy pictures: fair, resumable, and summed up as by hand."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from semdedup_spark.datasets.named import ImageSet
from semdedup_spark.datasets.planting import plant_copies
from semdedup_spark.errors import ConfigError
from semdedup_spark.experiments.cells import PRUNING, SUBSET, Cell, sweep_cells
from semdedup_spark.experiments.models import model_for
from semdedup_spark.experiments.results import (
    Result,
    ResultsFile,
    read_results,
    summarise,
)
from semdedup_spark.experiments.sweep import (
    Material,
    Selector,
    run_sweep,
    split_off_test,
)
from semdedup_spark.experiments.trainer import (
    ArrayRows,
    EndlessBatches,
    TrainSettings,
    train,
)

SETTINGS = TrainSettings(checkpoints=(5, 60), batch_size=16)


def toys(n=400, shape=(8, 8), seed=0):
    """Pictures of three classes: which third is bright; easily learnt."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    pixels = rng.integers(0, 120, (n, *shape), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 3 * label : 3 * label + 2] += 120
    return ImageSet("toys", "train", pixels, labels.astype(np.int64), np.arange(n))


def rows(images):
    return ArrayRows(images.pixels, images.labels)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_a_model_learns_what_can_be_learnt_and_the_same_each_time(shape):
    images, test = toys(shape=shape), rows(toys(seed=1, shape=shape))

    def once(seed):
        made = []

        def make():
            made.append(model_for(shape, 3))
            return made[-1]

        found = train(rows(images), test, make, SETTINGS, seed=seed)
        weights = np.concatenate([p.detach().cpu().numpy().ravel() for p in made[-1].parameters()])
        return [(point.steps, point.accuracy) for point in found], weights.tolist()

    first = once(0)
    assert [steps for steps, _ in first[0]] == [5, 60]
    assert first[0][-1][1] > 0.9
    assert once(0) == first
    assert once(1) != first  # all may be right in the end, yet not by the same weights


@pytest.mark.parametrize("n_rows", [3, 16, 50])
def test_batches_are_full_and_see_every_row_equally_often(n_rows):
    batches = list(EndlessBatches(n_rows, 16, n_batches=25, seed=0))
    assert {len(batch) for batch in batches} == {16}
    seen = Counter(row for batch in batches for row in batch)
    assert set(seen) == set(range(n_rows))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_a_sweep_has_a_random_subset_beside_every_ratio_and_no_cell_twice():
    cells = sweep_cells(
        PRUNING,
        ratios=[10, 25, 50, 75],
        clusters=[10, 20, 30, 40, 50],
        at_ratio=25,
        at_clusters=20,
        seeds=range(5),
    )
    assert len(cells) == len(set(cells)) == (8 * 4 + 5) * 5
    assert {c.ratio for c in cells if c.method == SUBSET} == {10, 25, 50, 75, 100}


def test_all_methods_keep_the_same_number_at_a_ratio_and_a_seed_decides_which():
    select = Selector(toys(150).pixels.reshape(150, -1).astype(np.float32))
    for method in (*PRUNING, "semdedup", SUBSET):
        masks = [select(Cell(6, seed, 25, method)) for seed in (0, 1)]
        assert [mask.sum() for mask in masks] == [38, 38]
        assert not np.array_equal(*masks)


def material(n=120):
    images = toys(n)
    return Material(images, toys(60, seed=1), images.pixels.reshape(n, -1).astype(np.float32))


def few_cells():
    return sweep_cells(
        ["cossim/diverse"], ratios=[20, 50], clusters=[3], at_ratio=20, at_clusters=3, seeds=[0, 1]
    )


def untimed(path):
    return sorted((replace(r, seconds=0.0) for r in read_results(path)), key=str)


def test_a_random_subset_is_not_what_a_rule_that_ranks_by_chance_keeps():
    X = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    select = Selector(X)
    subset, chance = select(Cell(0, 1, 25.0, SUBSET)), select(Cell(5, 1, 25.0, "random/diverse"))
    assert (subset & chance).sum() / subset.sum() < 0.35


def test_a_sweep_that_was_stopped_goes_on_and_ends_with_the_same_table(tmp_path):
    cells, settings = few_cells(), TrainSettings(checkpoints=(2, 4), batch_size=8)
    whole = ResultsFile(tmp_path / "whole", {"n": 1}, settings.checkpoints)
    run_sweep(material(), cells, settings, whole)
    part = ResultsFile(tmp_path / "part", {"n": 1}, settings.checkpoints)
    run_sweep(material(), cells[:4], settings, part)
    text = part.path.read_text()
    part.path.write_text(text[: text.rfind("\n", 0, -1) + 8])  # killed within a line
    again = ResultsFile(tmp_path / "part", {"n": 1}, settings.checkpoints)
    assert len(again.missing(cells)) == len(cells) - 3
    run_sweep(material(), cells, settings, again)
    assert untimed(again.path) == untimed(whole.path)
    assert again.missing(cells) == []


def test_results_of_other_settings_are_not_mixed(tmp_path):
    ResultsFile(tmp_path, {"dataset": "mnist", "limit": 5}, (1,))
    with pytest.raises(ConfigError, match="differs in: dataset"):
        ResultsFile(tmp_path, {"dataset": "fmnist", "limit": 5}, (1,))


def test_the_summary_compares_with_the_subset_of_the_same_size_and_seed():
    def result(method, seed, accuracy):
        return Result(method, 0, 25, seed, 10, -1, 100, accuracy, 1.0)

    found = summarise(
        [
            result(SUBSET, 0, 0.50),
            result(SUBSET, 1, 0.60),
            result("cossim/diverse", 0, 0.55),
            result("cossim/diverse", 1, 0.63),
        ]
    )
    line = next(s for s in found if s.method == "cossim/diverse")
    assert line.mean == pytest.approx(0.59)
    assert line.deviation == pytest.approx(0.08 / math.sqrt(2))
    assert line.gain == pytest.approx(0.04)  # 0.05 and 0.03
    assert line.gain_error == pytest.approx(0.01)


def test_the_results_are_a_table_for_sql(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    results = ResultsFile(tmp_path, {}, (100,))
    for seed, accuracy in enumerate((0.5, 0.625, 0.75)):
        results.add([Result("cossim/diverse", 20, 2.5, seed, 10, -1, 100, accuracy, 1.0)])
    (line,) = duckdb.sql(
        f"SELECT method, ratio, avg(accuracy), stddev(accuracy) FROM '{results.path}' GROUP BY ALL"
    ).fetchall()
    (summary,) = summarise(read_results(results.path))
    assert line == ("cossim/diverse", 2.5, summary.mean, pytest.approx(summary.deviation))


def test_planted_copies_are_as_many_as_said_and_look_like_their_originals():
    planted = plant_copies(toys(200), 0.4, seed=1)
    images, copies = planted.images, planted.is_copy
    assert copies.sum() == 80
    assert not copies[planted.original].any()
    originals = planted.original[copies]
    assert np.array_equal(images.labels[copies], images.labels[originals])
    assert np.array_equal(images.index[copies], images.index[originals])
    assert len(np.unique(originals)) <= 12  # a tenth of the 120 originals
    assert len(np.unique(images.index[~copies])) == 120
    distance = np.abs(images.pixels[copies].astype(int) - images.pixels[originals]).mean()
    assert 0 < distance < 60


def test_a_test_set_split_off_shares_no_picture_with_the_rest():
    kept, test = split_off_test(toys(100))
    assert len(test) == 20
    assert sorted([*kept.index, *test.index]) == list(range(100))
