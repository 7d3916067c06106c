"""The command that prunes by cluster, over a named data set or any job file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark.cli.options import wait_option, working_job
from semdedup_spark.masking import masked_settings
from semdedup_spark.report.terminal import say

if TYPE_CHECKING:
    from semdedup_spark.datasets import ImageSet

_SIDES = {"mnist": 28, "fmnist": 28, "cifar10": 32}
_SPLITS = click.Choice(["train", "test"])
_RANK_TYPES = click.Choice(["random", "cossim"])
_PRUNE_TYPES = click.Choice(["common", "diverse", "stratified", "systematic"])
_USUAL_CLUSTERS = 20


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which pictures, and as what they are compared."""
    for option in (
        click.option(
            "--representation",
            default="pixels",
            show_default=True,
            metavar="NAME[=MODEL]",
            help="pixels, efficientnet-lite0, vgg16[=FILE], or any encoder of embed.encoder with "
            "its embed.model. Not with a job file.",
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Take so many pictures, by hash."),
        click.option("--split", type=_SPLITS, default="train", show_default=True),
        click.option(
            "--root",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("data"),
            show_default=True,
            help="Where the data set's files are; downloaded to there if they are not.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option(
    "--dataset",
    required=True,
    metavar="mnist|fmnist|cifar10|JOB.YML",
    help="A data set by its name, or a job file.",
)
@dataset_options
@click.option("--ratio", help="Percent of each cluster to keep, 1 to 100.  [default: 25]")
@click.option(
    "--n_clusters", "--n-clusters", help="k of k-means.  [default: 20; or the job file's]"
)
@click.option("--rank_type", "--rank-type", type=_RANK_TYPES, help="[default: cossim]")
@click.option("--prune_type", "--prune-type", type=_PRUNE_TYPES, help="[default: diverse]")
@click.option("--seed", help="Of chance, and of a data set's k-means.  [default: 0]")
@click.option(
    "--exact_total",
    "--exact-total",
    is_flag=True,
    default=None,
    help="Keep ratio percent of all rows exactly, not of each cluster rounded up.",
)
@click.option("--output", help="Directory for the tables.  [default: out/NAME; or the job file's]")
@click.option("--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="As for run.")
@click.option("--run-id", help="Name of this run in the ledger; by default the time.")
@wait_option
def prune(
    dataset: str,
    root: Path,
    split: str,
    limit: int | None,
    representation: str,
    output: str | None,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    **rule: Any,
) -> None:
    """Keep a percentage of each cluster: the tables pruning and pruned."""
    from semdedup_spark.config import load_config
    from semdedup_spark.config.loading import with_overrides
    from semdedup_spark.pipeline import held_output, label_association, run_pruning_job

    named = not dataset.endswith((".yml", ".yaml"))
    settings, association = (*_overrides(rule, output, named), *overrides), None
    if not named:
        _refuse_dataset_options()
        with working_job(dataset, settings, run_id, wait) as job:
            record = run_pruning_job(job)
    else:
        place = Path(output or f"out/{dataset}").resolve()
        tree = named_job(dataset, split, place, representation)
        with _draft(tree) as draft:
            load_config(draft, settings)  # before the data are read and anything is written
            images = load_named(dataset, root, split, limit)
            with working_job(draft, settings, run_id, wait) as job, held_output(job):
                write_job(with_overrides(tree, settings), images, place)
                record = run_pruning_job(job)
                association = label_association(job, record, "label")
    counts = record.counts
    share = 100 * counts["kept"] / max(counts["kept"] + counts["removed"], 1)
    say(f"kept {counts['kept']:,} of {counts['read']:,} rows ({share:.2f} %)")
    if association is not None:
        say(f"Cramer's V of cluster by label {association:.3f}: 0 is none, 1 is perfect")
    say(f"pruned {job.root.name('pruned')}")


def _refuse_dataset_options() -> None:
    """What a job file says itself cannot be said beside it."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("root", "split", "limit", "representation"):
        if context.get_parameter_source(name) is given:
            raise click.UsageError(
                f"--{name} must be left out where --dataset is a job file, whose source and embed "
                "say it."
            )


def _overrides(rule: dict[str, Any], output: str | None, named: bool) -> list[str]:
    """What was said on the command line, as ``key.path=value``. The centroids of a job file are
    shared with its scores: another seed for the pruning does not train them anew.
    """
    keys = {name: [f"prune.{name}"] for name in rule}
    keys["n_clusters"] = ["cluster.n_clusters"]
    keys["seed"] = ["prune.seed", *(["cluster.seed"] if named else [])]
    said = [f"{key}={rule[name]}" for name in rule for key in keys[name] if rule[name] is not None]
    return said if output is None else [*said, f"output={output}"]


@contextmanager
def _draft(tree: dict[str, Any]) -> Iterator[str]:
    """A job file outside the output, where nothing may be written before the lease is held."""
    import yaml

    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as draft:
        yaml.safe_dump(tree, draft)
        draft.flush()
        yield draft.name


def load_named(dataset: str, root: Path, split: str, limit: int | None) -> ImageSet:
    """The pictures, at most ``limit`` of them."""
    from semdedup_spark.datasets import load_images

    images = load_images(dataset, root, split)  # type: ignore[arg-type]
    return images if limit is None else images.sample(limit)


def named_job(dataset: str, split: str, output: Path, representation: str) -> dict[str, Any]:
    """The job file of a named data set, as a tree."""
    pictures = output / "source" / f"{dataset}-{split}.parquet"
    source = {"kind": "images", "format": "parquet", "id": "id", "content": "image"}
    return {
        "output": str(output),
        "source": {**source, "path": str(pictures)},
        "embed": embedding(dataset, representation),
        "cluster": {"n_clusters": _USUAL_CLUSTERS},
    }


def embedding(dataset: str, representation: str) -> dict[str, Any]:
    """``embed`` of a job file for ``--representation``."""
    name, _, model = representation.partition("=")
    if name == "pixels":
        return {"encoder": "pixels", "image_size": _SIDES.get(dataset, 32)}
    if name == "vgg16":
        weights = f"vgg16:{Path(model).resolve()}" if model else "vgg16.IMAGENET1K_V1"
        return {"encoder": "torchvision", "model": weights}
    return {"encoder": name, "model": model} if model else {"encoder": name}


def write_job(tree: dict[str, Any], images: ImageSet, output: Path) -> Path:
    """The pictures and the job file, under the output; the job file's path."""
    import yaml

    from semdedup_spark.datasets.pictures import write_pictures

    write_pictures(images, Path(tree["source"]["path"]))
    job_file = output / "job.yml"
    shown = masked_settings(tree)  # tables lie beside it, for others to read
    job_file.write_text(yaml.safe_dump(shown, sort_keys=False), encoding="utf-8")
    return job_file


COMMANDS = (prune,)
