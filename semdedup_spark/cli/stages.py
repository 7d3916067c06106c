"""Commands that compute: the whole job, each stage alone, and the demo."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from semdedup_spark.cli.options import (
    job_options,
    opened_job,
    replacing_options,
    wait_option,
    working_job,
)
from semdedup_spark.cli.results import print_result
from semdedup_spark.failures import as_known
from semdedup_spark.report.files import check_writable, replace_file
from semdedup_spark.report.terminal import as_json, say


@click.command()
@job_options
@replacing_options
@wait_option
@click.option("--dry-run", is_flag=True, help="Only print which stages would be computed, and why.")
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write a summary of the run as JSON to this file. With -, print it instead of the text.",
)
@click.option(
    "--mlflow",
    "experiment",
    metavar="EXPERIMENT",
    help="Log settings, counts and outcome as a run of this experiment in MLflow. The variables of "
    "its client, such as MLFLOW_TRACKING_URI, say where that is.",
)
def run(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    dry_run: bool,
    summary: str | None,
    experiment: str | None,
    **allowed: bool,
) -> None:
    """Run the whole job: embed, cluster, score and select.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run on the same output.
    dry_run
        Only print which stages would be computed.
    summary
        File for a JSON summary, or ``-`` for standard output.
    experiment
        Name of an experiment in MLflow. ``None``: nothing is logged there.
    **allowed
        Values of ``--replace`` and ``--allow-empty``.

    Raises
    ------
    Exception
        Any error of the run.
    """
    from semdedup_spark.pipeline import run_job
    from semdedup_spark.pipeline.operations.status import summary_dict
    from semdedup_spark.tracking.mlflow_run import tracked

    if dry_run:
        _preview(config, overrides, run_id, allowed)
        return
    if summary not in (None, "-"):
        check_writable("--summary", Path(summary))
    try:
        with (
            tracked(experiment) as watched,
            working_job(config, overrides, run_id, wait, **allowed) as job,
        ):
            result = run_job(watched(job))
    except Exception as error:
        known = as_known(error)
        found = {"ok": False, "error": str(known), "retryable": known.retryable}
        _write_summary(summary, found)
        raise
    _write_summary(summary, summary_dict(job, result))
    if summary != "-":
        print_result(job, result, config, overrides)


def _preview(
    config: str, overrides: tuple[str, ...], run_id: str | None, allowed: dict[str, bool]
) -> None:
    from semdedup_spark.pipeline import preview_job

    for record in preview_job(opened_job(config, overrides, run_id, dry_run=True, **allowed)):
        what = "would be reused" if record.reused else "would be computed"
        say(f"{record.stage}: {what}, because {record.why}")


def _write_summary(place: str | None, found: dict[str, Any]) -> None:
    text = as_json(found)
    if place == "-":
        say(text)
    elif place is not None:
        replace_file(Path(place), f"{text}\n".encode())


@click.command()
@job_options
@replacing_options
@wait_option
def embed(
    config: str, overrides: tuple[str, ...], run_id: str | None, wait: float, **allowed: bool
) -> None:
    """Encode the rows of the source: writes the tables embeddings and quarantine.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    **allowed
        Values of ``--replace`` and ``--allow-empty``.
    """
    from semdedup_spark.pipeline import run_embed, run_reference

    with working_job(config, overrides, run_id, wait, **allowed) as job:
        run_embed(job)
        run_reference(job)


@click.command()
@job_options
@wait_option
def cluster(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Train k-means on the embeddings: writes the table centroids.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    """
    from semdedup_spark.pipeline import run_cluster

    with working_job(config, overrides, run_id, wait) as job:
        run_cluster(job)


@click.command()
@job_options
@wait_option
def score(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Compare the rows of each cluster: writes the table scores.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    """
    from semdedup_spark.pipeline import run_score

    with working_job(config, overrides, run_id, wait) as job:
        run_score(job)


@click.command()
@job_options
@wait_option
@click.option(
    "--name",
    help="Write a named selection, in tables of its own. Short for --set select.name=NAME.",
)
def select(
    config: str, overrides: tuple[str, ...], run_id: str | None, wait: float, name: str | None
) -> None:
    """Apply a threshold to the scores: writes deduplicated, duplicates and assignment.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    name
        Name of the selection. ``None``: as the job file says.
    """
    from semdedup_spark.pipeline import JobSummary, run_select

    overrides = (*overrides, f"select.name={json.dumps(name)}") if name else overrides
    with working_job(config, overrides, run_id, wait) as job:
        record = run_select(job)
    print_result(job, JobSummary.of(record, (record,)), config, overrides)


@click.command()
@click.option("--output", default="./out/demo", show_default=True, help="Directory for the tables.")
@click.option("--rows", default=8000, show_default=True, help="Number of docstrings to read.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Override one key of the job; may be repeated.",
)
def demo(output: str, rows: int, overrides: tuple[str, ...]) -> None:
    """Deduplicate the docstrings of the installed libraries, with MiniLM, offline.

    Parameters
    ----------
    output
        Directory for the tables.
    rows
        Number of docstrings to read.
    overrides
        ``key.path=value`` settings.
    """
    from semdedup_spark.demo.walkthrough import run_demo

    run_demo(Path(output), rows, overrides, partial(print_result, n_examples=0))


COMMANDS = (run, embed, cluster, score, select, demo)
