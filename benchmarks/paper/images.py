"""Study 6: what image models learn from what is kept (the paper's study of CLIP), on CIFAR-10.

``python benchmarks/paper/images.py``

A small CNN, and a model of two towers whose zero-shot accuracy is measured, are trained on what
SemDeDup and chance keep of the pictures as they are (*natural*), and of as many pictures of which
half are near copies of a tenth of the others (*planted*). *Steps* are those of all rows, *epochs*
are as many over what is kept. The models see pictures of half the side, which makes a step four
times as quick; the encoder sees whole ones. What is stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
import two_tower
from cells import (
    ALL,
    BUDGETS,
    KEPT,
    ORDERS,
    Cell,
    Selector,
    cell_of,
    grid,
    spread_table,
    trained,
)
from models import DATA
from scored import FloatArray, study_options
from tables import Table

from semdedup_spark.datasets import ImageSet, load_images
from semdedup_spark.datasets.planting import plant_copies
from semdedup_spark.errors import SourceError
from semdedup_spark.experiments.models import model_for
from semdedup_spark.experiments.sweep import Material
from semdedup_spark.experiments.trainer import ArrayRows, TrainSettings, accuracy, train
from semdedup_spark.experiments.vectors import represent

SETS = ("natural", "planted")
MODELS = ("cnn", "two-tower")
METHODS = ("SemDeDup", "random")
CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
PLANTED = 0.5
_EPOCHS = 6
_BATCH = 64
_TEST_ROWS = 4000
_AT_ONCE = 1000
_WHOLE = 32  # pixels a side of CIFAR-10


@dataclass(frozen=True)
class Result(Cell):
    """What came of a cell; ``distinct``: pictures that it kept, a copy and its original as one."""

    rows: int
    distinct: int
    accuracy: float
    seconds: float


def vectors_of(images: ImageSet, encoder: str, cache: Path) -> FloatArray:
    """(n, d) vectors. Encoded once, and kept a thousand rows at a time."""
    found = []
    for start in range(0, len(images), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(images)))
        found.append(represent(images.take(rows), encoder, None, cache / "images"))
        print(f"{encoder}: {rows[-1] + 1:,} of {len(images):,} pictures", flush=True)
    return np.concatenate(found)


def shrunk(images: ImageSet, by: int) -> ImageSet:
    """Pictures of which each pixel is the mean of a square of ``by`` pixels a side."""
    n, height, width, channels = images.pixels.shape
    squares = images.pixels.reshape(n, height // by, by, width // by, by, channels)
    return replace(images, pixels=np.rint(squares.mean(axis=(2, 4))).astype(np.uint8))


def natural(train_set: ImageSet, test: ImageSet, encoder: str, cache: Path) -> Material:
    """The pictures as they are."""
    return Material(train_set, test, vectors_of(train_set, encoder, cache))


def planted(of: Material, encoder: str, cache: Path) -> Material:
    """As many pictures, of which half are near copies: other brightness, noise, some shifted. A
    tenth of the originals is copied, each about ten times. Only the copies are encoded.
    """
    made = plant_copies(of.train, PLANTED)
    X = of.X[np.searchsorted(of.train.index, made.images.index)]
    X[made.is_copy] = vectors_of(made.images.take(made.is_copy), encoder, cache)
    return Material(made.images, of.test, X, made.is_copy)


def cells(model: str, seeds: int, percents: Sequence[int], budgets: Sequence[str]) -> list[Cell]:
    """Everything to train. The orders are compared at equal steps only."""
    methods = {budget: (*METHODS, *ORDERS) if budget == "steps" else METHODS for budget in budgets}
    return list(grid(model, seeds, percents, methods))


def run(cell: Cell, material: Material, selector: Selector) -> Result:
    """Train one model and measure it on the test pictures."""
    begun = time.perf_counter()
    kept = material.train.take(selector.kept(cell))
    of = material.train if cell.budget == "steps" else kept
    steps = max(1, _EPOCHS * len(of) // _BATCH)
    test = ArrayRows(material.test.pixels, material.test.labels)
    learn = _cnn if cell.model == "cnn" else _two_tower
    found = learn(kept, test, steps, cell.seed)
    distinct = len(np.unique(kept.index))
    seconds = round(time.perf_counter() - begun, 2)
    return Result(**asdict(cell), rows=len(kept), distinct=distinct, accuracy=found,
                  seconds=seconds)  # fmt: skip


def _cnn(kept: ImageSet, test: ArrayRows, steps: int, seed: int) -> float:
    rows = ArrayRows(kept.pixels, kept.labels)
    settings = TrainSettings(checkpoints=(steps,), batch_size=_BATCH)
    shape = kept.pixels.shape[1:]
    found = train(rows, test, lambda: model_for(shape, len(CLASSES)), settings, seed=seed)
    return found[-1].accuracy


def _two_tower(kept: ImageSet, test: ArrayRows, steps: int, seed: int) -> float:
    size = two_tower.Size(batch=_BATCH)
    return accuracy(two_tower.trained(kept, CLASSES, steps, seed, size), test)


def study(material: Material, wanted: Sequence[Cell], file: Path) -> list[Result]:
    """Train what is missing; return the results of all."""
    selector = Selector(material.X)
    return trained(
        wanted, file, Result, lambda cell: run(cell, material, selector), lambda r: 100 * r.accuracy
    )


def summaries(name: str, results: Sequence[Result]) -> dict[str, Table]:
    """Mean and deviation over the seeds, by the names of their files."""
    chance = {cell_of(r): r.accuracy for r in results if r.method == "random"}
    beside = [r for r in results if r.method not in ("random", ALL)]

    def gain(result: Result) -> float:
        return 100 * (result.accuracy - chance[cell_of(replace(result, method="random"))])

    return {
        f"accuracy_{name}": spread_table(
            f"Accuracy on test pictures, %, {name}", results, lambda r: 100 * r.accuracy
        ),
        f"gain_{name}": spread_table(
            f"Accuracy above that of random rows of the same seed, points, {name}", beside, gain
        ),
        f"distinct_{name}": spread_table(
            f"Distinct pictures to train on, {name}", results, lambda r: r.distinct
        ),
    }


@click.command(help=__doc__)
@study_options(rows=5000)
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
@click.option("--encoder", default="efficientnet-lite0", show_default=True)
@click.option(
    "--side", type=click.Choice(["16", "32"]), default="16", show_default=True,
    help="Pixels a side that the models see; CIFAR-10 has 32.",
)  # fmt: skip
@click.option("--seeds", type=int, default=5, show_default=True)
@click.option("--kept", "percents", type=int, multiple=True, default=KEPT, show_default=True)
@click.option("--budget", "budgets", multiple=True, type=click.Choice(BUDGETS), default=BUDGETS)
@click.option("--set", "sets", multiple=True, type=click.Choice(SETS), default=SETS)
@click.option("--model", "kinds", multiple=True, type=click.Choice(MODELS), default=MODELS)
def main(
    rows: int,
    cache: Path,
    out: Path,
    data: Path,
    encoder: str,
    side: str,
    seeds: int,
    percents: tuple[int, ...],
    budgets: tuple[str, ...],
    sets: tuple[str, ...],
    kinds: tuple[str, ...],
) -> None:
    try:
        pictures = load_images("cifar10", data, "train", fetch=False).sample(rows)
        test = load_images("cifar10", data, "test", fetch=False).sample(min(rows, _TEST_ROWS))
    except SourceError as error:
        print(f"The study of images is left out: {error}")
        return
    materials = {"natural": natural(pictures, test, encoder, cache)}
    if "planted" in sets:
        materials["planted"] = planted(materials["natural"], encoder, cache)
    for name in sets:
        results, of, by = [], materials[name], _WHOLE // int(side)
        of = replace(of, train=shrunk(of.train, by), test=shrunk(of.test, by))
        for kind in kinds:
            file = out / "images" / f"{name}-{kind}-{rows}-{encoder}-{side}.csv"
            results += study(of, cells(kind, seeds, percents, budgets), file)
        for what, table in summaries(name, results).items():
            table.show()
            table.write(out / "images" / f"{what}.csv")


if __name__ == "__main__":
    main()
