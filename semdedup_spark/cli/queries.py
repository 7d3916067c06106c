"""Commands that read the tables: what thresholds would do, why a row went, a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from semdedup_spark.cli.files import check_writable, replace_file
from semdedup_spark.cli.options import opened_job, reading_options
from semdedup_spark.report.terminal import open_console, say, say_json

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@reading_options
@click.option("--eps", multiple=True, type=float, help="A threshold to ask for; may be repeated.")
@click.option("--keep", multiple=True, type=float, help="A fraction to keep; may be repeated.")
@click.option("--by", metavar="COLUMN", help="Break down by a column of the source.")
@click.option(
    "--both-sides",
    is_flag=True,
    help="Count the rows that have a duplicate exactly, not at least: compares all once more.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--figure", type=_FILE, metavar="FILE.png", help="Draw it; needs the extra report.")
def tune(
    config: str,
    overrides: tuple[str, ...],
    eps: tuple[float, ...],
    keep: tuple[float, ...],
    by: str | None,
    both_sides: bool,
    as_json: bool,
    figure: Path | None,
) -> None:
    """What each eps would keep, and which eps keeps so much. Needs scores; writes no table."""
    if figure is not None:
        import matplotlib  # noqa: F401  missing, it is said now

        check_writable("--figure", figure)
    job = opened_job(config, overrides, None)
    from semdedup_spark.pipeline.queries.tune import run_tune
    from semdedup_spark.report.figures import tune_figure
    from semdedup_spark.report.tables import print_tuning

    tuning = run_tune(job, eps_grid=eps, keep_grid=keep, by=by, both_sides=both_sides)
    if figure is not None:
        replace_file(figure, tune_figure(tuning))
        say(f"figure: {figure}", err=True)
    if as_json:
        say_json(asdict(tuning))
    else:
        print_tuning(open_console(), tuning)


@click.command()
@reading_options
@click.option("--id", "key", help="The row to explain, as its id is written.")
@click.option("--sample", type=click.IntRange(min=1), help="Removals at the edge of eps instead.")
@click.option("--seed", default=0, show_default=True, help="Of --sample, among equals.")
@click.option("--name", help="A selection beside the main one, such as strict.")
@click.option(
    "--limit", default=20, show_default=True, help="Rows to list that a kept one absorbed."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(
    config: str,
    overrides: tuple[str, ...],
    key: str | None,
    sample: int | None,
    seed: int,
    name: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Why a row was kept, removed or rejected; or removals that were barely similar enough."""
    if (key is None) == (sample is None):
        raise click.UsageError("give either --id or --sample")
    job = opened_job(config, overrides, None)
    console = open_console()
    if key is not None:
        from semdedup_spark.pipeline.queries.explain import run_explain
        from semdedup_spark.report.tables import print_explanation

        told = run_explain(job, key, name=name, most=max(limit, 0))
        if as_json:
            say_json(asdict(told))
        else:
            print_explanation(console, told)
        return

    from semdedup_spark.pipeline.queries.selections import edge_removals, require_selection
    from semdedup_spark.report.console import print_examples

    selection = require_selection(job, name)
    examples = edge_removals(job, selection, n=sample or 1, seed=seed)
    if as_json:
        say_json([asdict(each) for each in examples])
    else:
        title = f"barely removed (-) beside their survivors (+), at eps {selection.eps:.6g}"
        print_examples(console, title, examples)


@click.command()
@reading_options
@click.option("--out", type=_FILE, required=True, metavar="FILE.html", help="Where to put it.")
@click.option("--name", help="A selection beside the main one, such as strict.")
@click.option("--by", metavar="COLUMN", help="Also shares by a column of the source.")
@click.option("--seed", default=0, show_default=True, help="Of what is drawn at random.")
def report(
    config: str,
    overrides: tuple[str, ...],
    out: Path,
    name: str | None,
    by: str | None,
    seed: int,
) -> None:
    """One HTML file to look at and to send: curves, groups, edge cases, quarantine, lineage."""
    import matplotlib  # noqa: F401  missing, it is said now

    from semdedup_spark.report.html import render_report

    check_writable("--out", out)
    job = opened_job(config, overrides, None)

    from semdedup_spark.pipeline.queries.report_data import run_overview

    page = render_report(run_overview(job, name=name, by=by, seed=seed))
    replace_file(out, page.encode("utf-8", "replace"))
    say(f"report: {out} ({len(page) / 1e6:.1f} MB)")


COMMANDS = (tune, explain, report)
