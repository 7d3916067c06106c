"""The command line: arguments to configuration to session to pipeline.

Exit codes: 0 done; 1 failed while running; 2 configuration or input wrong, nothing written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark import __version__
from semdedup_spark.errors import SemDedupError

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job, JobSummary


_EXTRAS = {"pyspark": "spark", "delta": "spark", "PIL": "images", "torch": "text"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``semdedup``, ``python -m semdedup_spark`` and ``jobs/``."""
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="semdedup")
    except SemDedupError as error:
        click.echo(f"semdedup: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        click.echo(
            f"semdedup: the package {error.name} must be installed. It is not.\n"
            f"  Hint: pip install 'semdedup-spark[{extra}]'",
            err=True,
        )
        sys.exit(2)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semdedup")
def cli() -> None:
    """Semantic deduplication of a data lake (SemDeDup on Spark and Delta).

    A job is a YAML file: conf/base.yml lists every key. `semdedup run` does all four stages and
    reuses what is still valid; a stage by its name does that stage alone.
    """


def _job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--run-id", help="Name of this run in the ledger; by default the time."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY.PATH=VALUE",
            help="Override one key of the job file; may be repeated.",
        ),
        click.option("--config", required=True, metavar="JOB.YML", help="The job file."),
    ):
        command = option(command)
    return command


@cli.command()
@_job_options
def run(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Embed, cluster, score and select: the whole job."""
    from semdedup_spark.pipeline import run_job

    job = _open(config, overrides, run_id)
    _print_result(job, run_job(job))


@cli.command()
@_job_options
def embed(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Rows of the source to the tables embeddings and quarantine."""
    from semdedup_spark.pipeline import run_embed

    job = _open(config, overrides, run_id)
    run_embed(job)
    job.ledger.flush()


@cli.command()
@_job_options
def cluster(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Train k-means on the embeddings: the table centroids."""
    from semdedup_spark.pipeline import run_cluster

    job = _open(config, overrides, run_id)
    run_cluster(job)
    job.ledger.flush()


@cli.command()
@_job_options
def score(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Compare the rows of each cluster: the table scores."""
    from semdedup_spark.pipeline import run_score

    job = _open(config, overrides, run_id)
    run_score(job)
    job.ledger.flush()


@cli.command()
@_job_options
def select(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Apply a threshold to the scores: the tables deduplicated and duplicates."""
    from semdedup_spark.pipeline import run_select

    job = _open(config, overrides, run_id)
    run_select(job)
    job.ledger.flush()


@cli.command()
@_job_options
def plan(config: str, overrides: tuple[str, ...], run_id: str | None) -> None:
    """Estimate what each choice of score.recall would cost; needs embed and cluster."""
    from rich.console import Console

    from semdedup_spark.pipeline import run_plan
    from semdedup_spark.report.console import print_plan

    job = _open(config, overrides, run_id)
    print_plan(Console(highlight=False), run_plan(job))


@cli.command()
@click.option("--output", default="./out/demo", show_default=True, help="Directory for the tables.")
@click.option("--rows", default=8000, show_default=True, help="Docstrings to read.")
@click.option("--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="As for run.")
def demo(output: str, rows: int, overrides: tuple[str, ...]) -> None:
    """Deduplicate the docstrings of the installed libraries, with MiniLM, offline."""
    from semdedup_spark.demo.walkthrough import run_demo

    run_demo(Path(output), rows, overrides, _print_result)


def _open(config: str, overrides: tuple[str, ...], run_id: str | None) -> Job:
    from semdedup_spark.config import load_config

    loaded = load_config(config, overrides)  # before a session costs seconds

    from semdedup_spark.pipeline import open_job
    from semdedup_spark.report.console import console_listener
    from semdedup_spark.session import open_session

    return open_job(open_session(), loaded, run_id=run_id, listener=console_listener())


def _print_result(job: Job, summary: JobSummary) -> None:
    from rich.console import Console

    from semdedup_spark import schema as s
    from semdedup_spark.pipeline.summary import kept_curve, quarantine_reasons
    from semdedup_spark.report.console import print_next, print_summary

    console = Console(highlight=False)
    counts = {name: getattr(summary, name) for name in ("read", "kept", "removed", "quarantined")}
    print_summary(
        console,
        counts=counts,
        eps=summary.eps,
        curve=kept_curve(job, summary.eps),
        reasons=quarantine_reasons(job) if summary.quarantined else [],
    )
    places = {table: job.root.name(table) for table in (*s.COMMENTS, s.DEDUPLICATED)}
    query = (
        f"SELECT survivor_id, count(*) AS copies, min(survivor_similarity) AS least_similar\n"
        f"FROM {job.root.name(s.DUPLICATES)}\n"
        f"GROUP BY survivor_id ORDER BY copies DESC LIMIT 10"
    )
    print_next(console, places, query)


if __name__ == "__main__":
    main()
