"""Commands that compute: the whole job, each stage alone, the plan and the demo."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark.cli.files import check_writable, replace_file
from semdedup_spark.cli.options import (
    job_options,
    opened_job,
    replacing_options,
    wait_option,
    working_job,
)
from semdedup_spark.errors import SemDedupError
from semdedup_spark.failures import explained, unclear
from semdedup_spark.report.terminal import as_json, open_console, print_line, say

if TYPE_CHECKING:
    from semdedup_spark.config import ClusterConfig
    from semdedup_spark.pipeline import Job, JobSummary


@click.command()
@job_options
@replacing_options
@wait_option
@click.option("--dry-run", is_flag=True, help="Say which stages would be computed, and why.")
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write what the run did as JSON to this file; - for standard output instead of the text.",
)
def run(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    dry_run: bool,
    summary: str | None,
    **allowed: bool,
) -> None:
    """Embed, cluster, score and select: the whole job."""
    from semdedup_spark.pipeline import run_job
    from semdedup_spark.pipeline.operations.status import summary_dict

    if dry_run:
        _preview(config, overrides, run_id, allowed)
        return
    if summary not in (None, "-"):
        check_writable("--summary", Path(summary))
    try:
        with working_job(config, overrides, run_id, wait, **allowed) as job:
            result = run_job(job)
    except Exception as error:
        known = error if isinstance(error, SemDedupError) else explained(error) or unclear(error)
        found = {"ok": False, "error": str(known), "retryable": known.retryable}
        _write_summary(summary, found)
        raise
    _write_summary(summary, summary_dict(job, result))
    if summary != "-":
        print_result(job, result)


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
    """Rows of the source to the tables embeddings and quarantine."""
    from semdedup_spark.pipeline import run_embed, run_reference

    with working_job(config, overrides, run_id, wait, **allowed) as job:
        run_embed(job)
        run_reference(job)


@click.command()
@job_options
@wait_option
def cluster(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Train k-means on the embeddings: the table centroids."""
    from semdedup_spark.pipeline import run_cluster

    with working_job(config, overrides, run_id, wait) as job:
        run_cluster(job)


@click.command()
@job_options
@wait_option
def score(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Compare the rows of each cluster: the table scores."""
    from semdedup_spark.pipeline import run_score

    with working_job(config, overrides, run_id, wait) as job:
        run_score(job)


@click.command()
@job_options
@wait_option
@click.option("--name", help="Short for --set select.name=NAME: tables of their own.")
def select(
    config: str, overrides: tuple[str, ...], run_id: str | None, wait: float, name: str | None
) -> None:
    """Apply a threshold to the scores: the tables deduplicated and duplicates."""
    from semdedup_spark.pipeline import run_select

    overrides = (*overrides, f"select.name={json.dumps(name)}") if name else overrides
    with working_job(config, overrides, run_id, wait) as job:
        run_select(job)


@click.command()
@click.option("--config", metavar="JOB.YML", help="The job file; without it sizes must be given.")
@click.option("--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="As for run.")
@click.option("--rows", type=click.IntRange(min=1), help="Rows, for a plan without data.")
@click.option("--dimension", type=click.IntRange(min=1), help="Numbers of a vector, with --rows.")
@click.option("--n_clusters", default="auto", show_default=True, help="With --rows.")
def plan(
    config: str | None,
    overrides: tuple[str, ...],
    rows: int | None,
    dimension: int | None,
    n_clusters: str,
) -> None:
    """Estimate what clustering and scoring will cost; needs embed, or --rows and --dimension."""
    from semdedup_spark.errors import ConfigError
    from semdedup_spark.pipeline import plan_sizes, run_plan
    from semdedup_spark.report.console import print_plan

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
    """The stage's settings with this number of clusters, or ``auto``."""
    from semdedup_spark.config import ClusterConfig
    from semdedup_spark.errors import ConfigError

    if n_clusters != "auto" and not re.fullmatch("0*[1-9][0-9]*", n_clusters):
        raise ConfigError(f"--n_clusters must be auto or at least 1. Got {n_clusters!r}.")
    return ClusterConfig(n_clusters="auto" if n_clusters == "auto" else int(n_clusters))


@click.command()
@click.option("--output", default="./out/demo", show_default=True, help="Directory for the tables.")
@click.option("--rows", default=8000, show_default=True, help="Docstrings to read.")
@click.option("--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="As for run.")
def demo(output: str, rows: int, overrides: tuple[str, ...]) -> None:
    """Deduplicate the docstrings of the installed libraries, with MiniLM, offline."""
    from semdedup_spark.demo.walkthrough import run_demo

    run_demo(Path(output), rows, overrides, print_result)


def print_result(job: Job, summary: JobSummary) -> None:
    """The books, the curve and what to query next."""
    from semdedup_spark import schema as s
    from semdedup_spark.pipeline import DRIFT_BOUND
    from semdedup_spark.pipeline.queries.summary import kept_curve, quarantine_reasons
    from semdedup_spark.report.console import print_next, print_summary

    console = open_console()
    counts = {name: getattr(summary, name) for name in ("read", "kept", "removed", "quarantined")}
    print_summary(
        console,
        counts=counts,
        eps=summary.eps,
        curve=kept_curve(job, summary.eps),
        reasons=quarantine_reasons(job) if summary.quarantined else [],
    )
    name = job.config.select.name
    tables = [t for t in s.COMMENTS if t not in (*s.OF_SELECTION, s.OVERRIDES, s.PRUNING, s.LEASES)]
    tables += [s.of_selection(t, name) for t in (s.DUPLICATES, s.DEDUPLICATED)]
    places = {table: job.root.name(table) for table in tables}
    query = (
        f"SELECT survivor_id, count(*) AS copies, min(survivor_similarity) AS least_similar\n"
        f"FROM {job.root.name(s.of_selection(s.DUPLICATES, name))} "
        "WHERE survivor_id IS NOT NULL\n"
        f"GROUP BY survivor_id ORDER BY copies DESC LIMIT 10"
    )
    print_next(console, places, query)
    if summary.stale:
        print_line(
            console,
            f"\nnot made again, as their settings no longer fit: {', '.join(summary.stale)}; they "
            "may hold rows that are gone. Select them with other settings, or drop them",
        )
    if summary.cost_drift > DRIFT_BOUND:
        console.print(
            f"\nrows have changed since the centroids were made: scoring everything would cost "
            f"{summary.cost_drift:.1f} times what it would with new ones; `semdedup recluster` "
            "makes them"
        )


COMMANDS = (run, embed, cluster, score, select, plan, demo)
