"""The command that prunes by cluster, on a named data set or any job file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from semdedup_spark.cli.named_data import load_named, named_job, write_job
from semdedup_spark.cli.options import wait_option, working_job
from semdedup_spark.report.terminal import counted, say

_SPLITS = click.Choice(["train", "test"])
_RANK_TYPES = click.Choice(["random", "cossim"])
_PRUNE_TYPES = click.Choice(["common", "diverse", "stratified", "systematic"])


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose pictures and their representation.

    Parameters
    ----------
    command
        Function of the command.

    Returns
    -------
    Callable
        The same command with these options.
    """
    for option in (
        click.option(
            "--representation",
            default="pixels",
            show_default=True,
            metavar="NAME[=MODEL]",
            help="Encoder of the pictures: pixels, efficientnet-lite0, vgg16[=FILE], or any value "
            "of embed.encoder, with its embed.model. Not allowed with a job file.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            help="Use a sample of this many pictures, chosen by hash.",
        ),
        click.option(
            "--split",
            type=_SPLITS,
            default="train",
            show_default=True,
            help="Which split of the data set to use.",
        ),
        click.option(
            "--root",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("data"),
            show_default=True,
            help="Directory of the data set's files. Missing files are downloaded to it.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--config", metavar="JOB.YML", help="The job file. Give it or --dataset.")
@click.option(
    "--dataset",
    metavar="mnist|fmnist|cifar10",
    help="A named data set to prune instead of a job file. A job file is accepted here, too.",
)
@dataset_options
@click.option("--ratio", help="Percentage of each cluster to keep, 1 to 100.  [default: 25]")
@click.option(
    "--n_clusters",
    "--n-clusters",
    help="Number of k-means clusters.  [default: 20, or the job file's]",
)
@click.option(
    "--rank_type",
    "--rank-type",
    type=_RANK_TYPES,
    help="Order of a cluster's rows: by chance, or by cosine to the centroid.  [default: cossim]",
)
@click.option(
    "--prune_type",
    "--prune-type",
    type=_PRUNE_TYPES,
    help="Which rows of that order are kept.  [default: diverse]",
)
@click.option(
    "--seed", help="Random seed of the pruning, and of k-means for a named data set.  [default: 0]"
)
@click.option(
    "--exact_total",
    "--exact-total",
    is_flag=True,
    default=None,
    help="Keep --ratio percent of all rows, instead of rounding up in each cluster.",
)
@click.option("--output", help="Directory for the tables.  [default: out/NAME, or the job file's]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Override one key of the job; may be repeated.",
)
@click.option("--run-id", help="Name of this run in the ledger.  [default: the time]")
@wait_option
def prune(
    config: str | None,
    dataset: str | None,
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
    """Keep a percentage of each cluster: writes the tables pruning and pruned.

    Parameters
    ----------
    config
        Path of the job file. Either this or ``dataset`` is given.
    dataset
        ``mnist``, ``fmnist`` or ``cifar10``, or the path of a job file that ends in .yml or .yaml.
    root
        Directory of the data set's files.
    split
        ``train`` or ``test``.
    limit
        Most pictures to use. ``None``: all.
    representation
        ``NAME`` or ``NAME=MODEL`` of an encoder.
    output
        Directory for the tables. ``None``: the default.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run. ``None``: the time.
    wait
        Seconds to wait for another run.
    **rule
        Pruning settings by name. ``None``: not given.
    """
    from semdedup_spark.config import load_config
    from semdedup_spark.config.loading import with_overrides
    from semdedup_spark.pipeline import held_output, label_association, run_pruning_job

    given, named = _given_source(config, dataset)
    settings, association = (*_overrides(rule, output, named), *overrides), None
    if not named:
        _refuse_dataset_options()
        with working_job(given, settings, run_id, wait) as job:
            record = run_pruning_job(job)
    else:
        place = Path(output or f"out/{given}").resolve()
        tree = named_job(given, split, place, representation)
        with _draft(tree) as draft:
            load_config(draft, settings)  # refuses wrong settings before any data is read
            images = load_named(given, root, split, limit)
            with working_job(draft, settings, run_id, wait) as job, held_output(job):
                write_job(with_overrides(tree, settings), images, place)
                record = run_pruning_job(job)
                association = label_association(job, record, "label")
    counts = record.counts
    share = 100 * counts["kept"] / max(counts["kept"] + counts["removed"], 1)
    say(f"kept {counts['kept']:,} of {counted(counts['read'], 'row')} ({share:.2f} %)")
    if association is not None:
        say(f"Cramer's V of cluster by label {association:.3f}: 0 is none, 1 is perfect")
    say(f"pruned {job.root.name('pruned')}")


def _given_source(config: str | None, dataset: str | None) -> tuple[str, bool]:
    """The job file or the name of a data set, and whether it is a name."""
    if config is not None and dataset is None:
        return config, False
    if dataset is not None and config is None:
        return dataset, not dataset.endswith((".yml", ".yaml"))
    raise click.UsageError("give either --config JOB.YML or --dataset NAME.")


def _refuse_dataset_options() -> None:
    """Refuse options whose values a job file holds itself."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("root", "split", "limit", "representation"):
        if context.get_parameter_source(name) is given:
            raise click.UsageError(
                f"--{name} must be left out with a job file: its keys source and embed hold that "
                "setting."
            )


def _overrides(rule: dict[str, Any], output: str | None, named: bool) -> list[str]:
    """The command line's options as ``key.path=value``.

    With a job file, ``--seed`` sets only ``prune.seed``. Its centroids also serve its scores, so
    another pruning seed must not train new ones.
    """
    keys = {name: [f"prune.{name}"] for name in rule}
    keys["n_clusters"] = ["cluster.n_clusters"]
    keys["seed"] = ["prune.seed", *(["cluster.seed"] if named else [])]
    said = [f"{key}={rule[name]}" for name in rule for key in keys[name] if rule[name] is not None]
    return said if output is None else [*said, f"output={output}"]


@contextmanager
def _draft(tree: dict[str, Any]) -> Iterator[str]:
    """A temporary job file. Nothing may be written to the output before the lease is held."""
    import yaml

    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as draft:
        yaml.safe_dump(tree, draft)
        draft.flush()
        yield draft.name


COMMANDS = (prune,)
