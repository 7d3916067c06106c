"""The command of the sweep: select, train and measure, over ratios, clusters and seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark.cli.named_data import embedding
from semdedup_spark.cli.prune import dataset_options
from semdedup_spark.report.terminal import say

if TYPE_CHECKING:
    from semdedup_spark.experiments.sweep import Material

_PRUNING = "random/common,random/diverse,cossim/common,cossim/diverse"
_COUNT = click.IntRange(min=1)
_PERCENT = click.FloatRange(1, 100)


def _each(kind: Any) -> Any:
    """The callback of an option that holds values of a ``kind``, separated by commas."""

    def read(context: click.Context, option: click.Parameter, said: str) -> tuple[Any, ...]:
        return tuple(kind.convert(part.strip(), option, context) for part in said.split(","))

    return read


@click.command()
@click.option(
    "--dataset",
    required=True,
    type=click.Choice(["mnist", "fmnist", "cifar10"]),
    help="The data set.",
)
@dataset_options
@click.option(
    "--ratios",
    default="10,25,50,75",
    show_default=True,
    callback=_each(_PERCENT),
    help="Percentages to keep, separated by commas.",
)
@click.option(
    "--clusters",
    default="10,20,30,40,50",
    show_default=True,
    callback=_each(_COUNT),
    help="Numbers of clusters, separated by commas.",
)
@click.option(
    "--at-ratio",
    type=_PERCENT,
    default=25,
    show_default=True,
    help="Percentage kept while --clusters varies.",
)
@click.option(
    "--at-clusters",
    type=_COUNT,
    default=20,
    show_default=True,
    help="Number of clusters while --ratios varies.",
)
@click.option(
    "--methods",
    default=_PRUNING,
    show_default=True,
    help="Selection rules, separated by commas. semdedup is another one.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of seeds: repetitions of each cell.",
)
@click.option(
    "--steps",
    default="200,500,1000",
    show_default=True,
    callback=_each(_COUNT),
    help="Training steps after which accuracy is measured, separated by commas.",
)
@click.option(
    "--copies",
    type=click.FloatRange(0, 0.95),
    default=0.0,
    show_default=True,
    help="Share of perturbed copies to plant among the training pictures, 0 to 0.95.",
)
@click.option(
    "--test-limit",
    type=click.IntRange(min=1),
    help="Test on a sample of this many pictures, chosen by hash.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to train on: auto, cpu, cuda or mps.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory for the results.",
)
def sweep(root: Path, output: Path, **options: Any) -> None:
    """Train on what each selection keeps, and on random subsets of the same size.

    As Heo & Chen's run.sh: all --ratios at --at-clusters, and all --clusters at --at-ratio. A sweep
    that was stopped continues with the first cell that results.csv lacks. Runs in memory, without
    Spark.

    Parameters
    ----------
    root
        Directory of the data set's files.
    output
        Directory for the results.
    **options
        Values of the other options.

    Raises
    ------
    click.BadParameter
        If a method is unknown.
    """
    from semdedup_spark.experiments.cells import METHODS, sweep_cells
    from semdedup_spark.experiments.results import ResultsFile
    from semdedup_spark.experiments.sweep import run_sweep
    from semdedup_spark.experiments.trainer import TrainSettings
    from semdedup_spark.kernels.cluster.torch_lloyd import usable_device

    pictures = _Pictures(**{field.name: options.pop(field.name) for field in fields(_Pictures)})
    methods = options["methods"].split(",")
    if not set(methods) <= {*METHODS}:
        raise click.BadParameter(f"--methods must be of {', '.join(METHODS)}. Got {methods}.")
    device = usable_device(options["device"])
    settings = TrainSettings(checkpoints=tuple(sorted(options["steps"])))
    known = {
        **asdict(pictures),
        "steps": list(settings.checkpoints),
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
    }
    results = ResultsFile(output, known, settings.checkpoints)
    grid = {name: options[name] for name in ("ratios", "clusters", "at_ratio", "at_clusters")}
    cells = sweep_cells(methods, **grid, seeds=range(options["seeds"]))
    say(f"{len(results.missing(cells))} of {len(cells)} cells to do", err=True)
    if results.missing(cells):
        material = _material(pictures, root, output)
        results.require_data(material.digest())
        run_sweep(material, cells, settings, results, device=device, progress=_progress)
    _show(results.path, output, options)


@dataclass(frozen=True)
class _Pictures:
    """The options that choose pictures and their representation.

    Attributes
    ----------
    dataset
        ``mnist``, ``fmnist`` or ``cifar10``.
    split
        ``train`` or ``test``. ``test`` is divided into training and test pictures.
    limit
        Most training pictures. ``None``: all.
    test_limit
        Most test pictures. ``None``: all.
    representation
        ``NAME`` or ``NAME=MODEL`` of an encoder.
    copies
        Share of planted copies among the training pictures, in [0, 0.95].
    """

    dataset: str
    split: str
    limit: int | None
    test_limit: int | None
    representation: str
    copies: float


def _progress(done: int, all_cells: int) -> None:
    if done % 10 == 0 or done == all_cells:
        say(f"sweep: {done} of {all_cells} cells", err=True)


def _material(wanted: _Pictures, root: Path, output: Path) -> Material:
    from semdedup_spark.datasets import load_images
    from semdedup_spark.datasets.planting import plant_copies
    from semdedup_spark.experiments.sweep import Material, split_off_test
    from semdedup_spark.experiments.vectors import represent

    images = load_images(wanted.dataset, root, wanted.split)  # type: ignore[arg-type]
    if wanted.split == "test":
        images, test = split_off_test(images)
        say(f"of the test split alone: {len(images):,} to train, {len(test):,} to test")
    else:
        test = load_images(wanted.dataset, root, "test")
    images = images if wanted.limit is None else images.sample(wanted.limit)
    test = test if wanted.test_limit is None else test.sample(wanted.test_limit)
    is_copy = None
    if wanted.copies:
        planted = plant_copies(images, wanted.copies)
        images, is_copy = planted.images, planted.is_copy
    encoder = embedding(wanted.dataset, wanted.representation)
    X = represent(images, encoder["encoder"], encoder.get("model"), output / "vectors")
    return Material(images, test, X, is_copy)


def _show(path: Path, output: Path, options: dict[str, Any]) -> None:
    from semdedup_spark.experiments.figures import draw_steps, draw_sweep
    from semdedup_spark.experiments.results import read_results, summarise
    from semdedup_spark.experiments.table import print_sweep

    summary = summarise(read_results(path))
    last = max(options["steps"])
    print_sweep([line for line in summary if line.steps == last])
    at = {"at_ratio": options["at_ratio"], "at_clusters": options["at_clusters"]}
    draw_sweep(summary, output / "sweep.png", steps=last, **at)
    draw_steps(summary, output / "steps.png", at_clusters=options["at_clusters"])
    say(f"\n{path}\n{output / 'sweep.png'}\n{output / 'steps.png'}")


COMMANDS = (sweep,)
