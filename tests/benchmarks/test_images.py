"""The image models of the study: captions, planting, and selections of the right size."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")

import images
import torch
import two_tower
from cells import ALL, BUDGETS, ORDERS

from semdedup_spark.datasets import ImageSet
from semdedup_spark.datasets.pictures import to_png
from semdedup_spark.experiments.trainer import ArrayRows, accuracy
from semdedup_spark.experiments.vectors import represent


def toys(n=400, side=8, seed=0):
    """Pictures of three classes: which third is bright; easily learnt."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    pixels = rng.integers(0, 120, (n, side, side, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, label * side // 3 : (label + 1) * side // 3] += 120
    return ImageSet("toys", "train", pixels, labels.astype(np.int64), 3 * np.arange(n))


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return images.natural(toys(), toys(seed=1), "pixels", tmp_path_factory.mktemp("cache"))


def test_planting_is_the_same_each_time_and_its_vectors_are_those_of_the_pictures(
    material, tmp_path
):
    first, again = (images.planted(material, "pixels", tmp_path) for _ in range(2))
    assert (first.train.pixels == again.train.pixels).all()
    assert (first.X == again.X).all()
    assert first.is_copy.sum() == len(first.train) / 2 == 200
    assert (first.X == represent(first.train, "pixels", None, tmp_path)).all()
    # A tenth of the originals is copied, and a copy has the class of its original.
    copied = np.unique(first.train.index[first.is_copy])
    assert len(copied) <= 20
    assert len(np.unique(first.train.index)) == 200
    label = dict(zip(material.train.index.tolist(), material.train.labels.tolist(), strict=True))
    assert [label[each] for each in first.train.index.tolist()] == first.train.labels.tolist()


def test_semdedup_removes_planted_copies_before_anything_else(material, tmp_path):
    planted = images.planted(material, "pixels", tmp_path)
    rng = np.random.default_rng(0)
    originals = rng.standard_normal((planted.train.index.max() + 1, 32))
    near = originals[planted.train.index] + 0.01 * rng.standard_normal((400, 32))
    planted = replace(planted, X=near.astype(np.float32))
    found = images.study(planted, images.cells("cnn", 1, (50,), ["steps"]), tmp_path / "p.csv")
    assert [(r.method, r.rows) for r in found] == [
        (ALL, 400),
        *((method, 200) for method in (*images.METHODS, *ORDERS)),
    ]
    distinct = {r.method: r.distinct for r in found}
    assert distinct.pop("random") < 150
    assert set(distinct.values()) == {200}


class Perfect(torch.nn.Module):
    """Reads the class off the first pixel, and off the last word of a caption."""

    def __init__(self, captions, turned=0):
        super().__init__()
        self.classes = captions.ids.max(dim=2).values[:, 0].tolist()
        self.turned = turned

    def pictures(self, pixels):
        return torch.eye(3)[(pixels[:, 0, 0, 0].long() + self.turned) % 3]

    def captions(self, ids):
        return torch.eye(3)[[self.classes.index(int(row.max())) for row in ids]]


def test_zero_shot_accuracy_of_a_perfect_model_is_one_and_of_a_turned_one_zero():
    # Names that sort after every other word have the largest ids.
    captions = two_tower.Captions(["zz-cat", "zz-dog", "zz-ship"])
    labels = np.arange(30) % 3
    pixels = np.zeros((30, 8, 8, 3), dtype=np.uint8)
    pixels[:, 0, 0, 0] = labels
    test = ArrayRows(pixels, labels)
    assert accuracy(two_tower.ZeroShot(Perfect(captions), captions), test) == 1
    assert accuracy(two_tower.ZeroShot(Perfect(captions, turned=1), captions), test) == 0


def test_captions_of_one_class_are_no_negatives_of_each_other():
    """Were the other picture's caption a negative, rows apart would cost nothing. As a positive it
    costs much to be far from it, and the least loss is that of either of two: log 2.
    """
    one_class = torch.tensor([0, 0])
    other = torch.tensor([0, 1])
    near = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    apart = torch.eye(2)
    scale = torch.tensor(100.0)
    loss = two_tower.contrastive_loss
    assert loss(near, near, one_class, scale).item() == pytest.approx(np.log(2))
    assert loss(apart, apart, one_class, scale) > 10
    assert loss(apart, apart, other, scale).item() == pytest.approx(0, abs=1e-6)
    assert loss(near, near, other, scale).item() == pytest.approx(np.log(2))


def test_a_shrunk_picture_has_the_means_of_squares():
    whole = toys(n=3, side=4)
    small = images.shrunk(whole, 2)
    assert small.pixels.shape == (3, 2, 2, 3)
    assert abs(small.pixels[1, 0, 1, 2] - whole.pixels[1, :2, 2:, 2].mean()) <= 0.5
    assert (images.shrunk(whole, 1).pixels == whole.pixels).all()
    assert (small.index == whole.index).all()


def test_filling_up_a_caption_changes_nothing():
    captions = two_tower.Captions(["cat"], ["a {}", "a photo of a {}"])
    assert captions.ids.shape == (1, 2, 5)
    model = two_tower.TwoTower((8, 8, 3), captions.n_tokens, two_tower.Size(width=4))
    short = captions.ids[:, 0]
    assert torch.equal(model.captions(short), model.captions(short[:, :2]))


@pytest.mark.parametrize("kind", images.MODELS)
def test_a_model_learns_what_can_be_learnt_and_the_same_each_time(material, kind):
    once, again = (
        images.run(cell, material, images.Selector(material.X))
        for cell in images.cells(kind, 1, (), ["steps"]) * 2
    )
    assert once.accuracy == again.accuracy > 0.8
    assert once.rows == once.distinct == 400


@pytest.mark.parametrize("kind", images.MODELS)
def test_a_stopped_study_goes_on_where_it_was_and_trains_nothing_twice(
    material, kind, tmp_path, monkeypatch
):
    wanted = images.cells(kind, 2, (50,), BUDGETS)
    assert len(wanted) == len(set(wanted)) == 2 * (1 + 4 + 2)
    ran = []
    run = images.run
    monkeypatch.setattr(images, "run", lambda cell, *rest: ran.append(cell) or run(cell, *rest))
    images.study(material, wanted[:5], tmp_path / "a.csv")
    found = images.study(material, wanted, tmp_path / "a.csv")
    assert images.study(material, wanted, tmp_path / "a.csv") == found
    assert ran == wanted
    tables = images.summaries("natural", found)
    assert [row[1:3] for row in tables["accuracy_natural"].rows] == [
        ("steps", ALL),
        *(("steps", method) for method in (*images.METHODS, *ORDERS)),
        *(("epochs", method) for method in images.METHODS),
    ]


def test_a_gain_is_the_mean_difference_of_the_same_seed():
    def results(method, *accuracies):
        return [
            images.Result("cnn", "steps", method, 50, seed, 10, 10, accuracy, 1.0)
            for seed, accuracy in enumerate(accuracies)
        ]

    found = [*results("random", 0.30, 0.50), *results("SemDeDup", 0.33, 0.51)]
    rows = images.summaries("natural", found)["gain_natural"].rows
    assert rows == [("cnn", "steps", "SemDeDup", None, None, None, "2.00 ± 1.41", None)]


def cifar(folder, n=90):
    pictures = {split: toys(n, side=32, seed=seed) for seed, split in enumerate(("train", "test"))}
    rows = [
        (split, at, int(of.labels[at]), to_png(of.pixels[at]))
        for split, of in pictures.items()
        for at in range(n)
    ]
    names = ("split", "cifar_index", "label", "image")
    folder.mkdir()
    pq.write_table(
        pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), folder / "few.parquet"
    )


def test_the_small_form_writes_tables_and_figures(tmp_path):
    pytest.importorskip("matplotlib")
    import figures

    cifar(tmp_path / "cifar10")
    out = tmp_path / "out"
    options = ["--rows", "80", "--encoder", "pixels", "--seeds", "1", "--kept", "50"]
    places = ["--data", str(tmp_path), "--cache", str(tmp_path / "cache"), "--out", str(out)]
    images.main([*options, *places], standalone_mode=False)
    with (out / "images" / "distinct_planted.csv").open(newline="") as file:
        told = {(row["model"], row["method"], row["budget"]): row for row in csv.DictReader(file)}
    assert len(told) == 2 * (1 + 4 + 2)
    assert told["cnn", ALL, "steps"]["100 % kept"] == "40.00 ± 0.00"
    kept = [told["two-tower", method, "epochs"]["50 % kept"] for method in images.METHODS]
    semdedup, random = (float(each.split(" ± ")[0]) for each in kept)
    assert random < semdedup <= 40
    figures.main(["--results", str(out)], standalone_mode=False)
    assert {file.stem for file in out.glob("*.svg")} == {"images_natural", "images_planted"}


def test_without_the_pictures_the_study_is_left_out(tmp_path, capsys):
    places = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    images.main(places, standalone_mode=False)
    assert "left out" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
