"""The command that estimates what a job will cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from semdedup_spark.cli.options import opened_job
from semdedup_spark.report.terminal import open_console

if TYPE_CHECKING:
    from semdedup_spark.config import ClusterConfig


@click.command()
@click.option(
    "--config", metavar="JOB.YML", help="The job file. Without it, give --rows and --dimension."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Override one key of the job; may be repeated.",
)
@click.option("--rows", type=click.IntRange(min=1), help="Number of rows, for a plan without data.")
@click.option(
    "--dimension", type=click.IntRange(min=1), help="Dimension of the vectors. Goes with --rows."
)
@click.option(
    "--n_clusters",
    default="auto",
    show_default=True,
    help="Number of clusters, or auto. Goes with --rows.",
)
def plan(
    config: str | None,
    overrides: tuple[str, ...],
    rows: int | None,
    dimension: int | None,
    n_clusters: str,
) -> None:
    """Estimate the cost of clustering and scoring. Needs embed, or --rows and --dimension.

    Parameters
    ----------
    config
        Path of the job file. Either this or ``rows`` is given.
    overrides
        ``key.path=value`` settings.
    rows
        Number of rows, for a plan without data.
    dimension
        Dimension of the vectors. Goes with ``rows``.
    n_clusters
        Number of clusters, or ``auto``. Goes with ``rows``.

    Raises
    ------
    ConfigError
        If the options do not fit together.
    """
    from semdedup_spark.errors import ConfigError
    from semdedup_spark.pipeline import plan_sizes, run_plan
    from semdedup_spark.report.costs import print_plan

    console = open_console()
    if (config is None) == (rows is None) or (rows is None) != (dimension is None):
        raise ConfigError(
            "plan must have either --config, or --rows and --dimension.",
            hint="semdedup plan --rows 437444349 --dimension 512 --n_clusters 50000",
        )
    if rows is not None and dimension is not None:
        print_plan(console, plan_sizes(rows, dimension, parse_clusters(n_clusters)))
    elif config is not None:
        print_plan(console, run_plan(opened_job(config, overrides, None)))


def parse_clusters(n_clusters: str) -> ClusterConfig:
    """Parse the option ``--n_clusters``.

    Parameters
    ----------
    n_clusters
        A whole number of at least 1, or ``auto``.

    Returns
    -------
    ClusterConfig
        Default settings with this number of clusters.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    from semdedup_spark.config import ClusterConfig
    from semdedup_spark.errors import ConfigError

    if n_clusters != "auto" and not re.fullmatch("0*[1-9][0-9]*", n_clusters):
        raise ConfigError(f"--n_clusters must be auto or at least 1. Got {n_clusters!r}.")
    return ClusterConfig(n_clusters="auto" if n_clusters == "auto" else int(n_clusters))


COMMANDS = (plan,)
