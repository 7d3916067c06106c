"""Commands that only read the tables: tune thresholds, explain a row, write a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from semdedup_spark.cli.options import opened_job, reading_options
from semdedup_spark.report.files import check_writable, replace_file
from semdedup_spark.report.terminal import open_console, say, say_json

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@reading_options
@click.option("--eps", multiple=True, type=float, help="A threshold to evaluate; may be repeated.")
@click.option(
    "--keep",
    multiple=True,
    type=float,
    help="A fraction of rows to keep, for which the eps is wanted; may be repeated.",
)
@click.option("--by", metavar="COLUMN", help="Break the result down by a column of the source.")
@click.option(
    "--by-size",
    is_flag=True,
    help="Also show what is removed of smaller corpora. Needs scores with score.rank_by: random.",
)
@click.option(
    "--both-sides",
    is_flag=True,
    help="Count rows that have a duplicate exactly, not as a lower bound. Compares all rows again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--figure", type=_FILE, metavar="FILE.png", help="Also draw a figure. Needs the extra report."
)
def tune(
    config: str,
    overrides: tuple[str, ...],
    eps: tuple[float, ...],
    keep: tuple[float, ...],
    by: str | None,
    by_size: bool,
    both_sides: bool,
    as_json: bool,
    figure: Path | None,
) -> None:
    """Show what each eps would keep, and which eps keeps a given fraction.

    Needs scores. Writes no table.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    eps
        Thresholds to evaluate.
    keep
        Fractions of rows to keep, for which the eps is wanted.
    by
        Column of the source to break the result down by.
    by_size
        Also show what is removed of smaller corpora.
    both_sides
        Count rows that have a duplicate exactly.
    as_json
        Print JSON instead of tables.
    figure
        PNG file to draw. ``None``: no figure.
    """
    if figure is not None:
        import matplotlib  # noqa: F401  a missing package is reported before work starts

        check_writable("--figure", figure)
    job = opened_job(config, overrides, None)
    from semdedup_spark.pipeline.queries.tune import run_tune
    from semdedup_spark.report.figures import tune_figure
    from semdedup_spark.report.tables import print_tuning

    tuning = run_tune(
        job, eps_grid=eps, keep_grid=keep, by=by, by_size=by_size, both_sides=both_sides
    )
    if figure is not None:
        replace_file(figure, tune_figure(tuning))
        say(f"figure: {figure}", err=True)
    if as_json:
        say_json(asdict(tuning))
    else:
        print_tuning(open_console(), tuning)


@click.command()
@reading_options
@click.option("--id", "key", help="Id of the row to explain.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="Show this many rows that were only just similar enough to be removed.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Random seed of --sample, which breaks ties."
)
@click.option("--name", help="A named selection, such as strict, instead of the main one.")
@click.option(
    "--limit", default=20, show_default=True, help="Most removed rows to list for a kept row."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
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
    """Explain why a row was kept, removed or rejected, or show the closest removals (--sample).

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    key
        Id of the row. Either this or ``sample`` is given.
    sample
        Number of removals close to the threshold to show.
    seed
        Random seed that breaks ties of ``sample``.
    name
        A named selection. ``None``: the main one.
    limit
        Most removed rows to list for a kept row.
    as_json
        Print JSON instead of text.

    Raises
    ------
    click.UsageError
        If not exactly one of ``--id`` and ``--sample`` is given.
    """
    if (key is None) == (sample is None):
        raise click.UsageError("give either --id or --sample.")
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
@click.option(
    "--out", type=_FILE, required=True, metavar="FILE.html", help="The HTML file to write."
)
@click.option("--name", help="A named selection, such as strict, instead of the main one.")
@click.option("--by", metavar="COLUMN", help="Also show kept shares by a column of the source.")
@click.option("--seed", default=0, show_default=True, help="Random seed of the examples.")
def report(
    config: str,
    overrides: tuple[str, ...],
    out: Path,
    name: str | None,
    by: str | None,
    seed: int,
) -> None:
    """Write one HTML file to read and to share: curves, groups, edge cases, quarantine, lineage.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    out
        HTML file to write.
    name
        A named selection. ``None``: the main one.
    by
        Column of the source to break kept shares down by.
    seed
        Random seed of the examples.
    """
    import matplotlib  # noqa: F401  a missing package is reported before work starts

    from semdedup_spark.report.html import save_report

    check_writable("--out", out)
    job = opened_job(config, overrides, None)

    from semdedup_spark.pipeline.queries.report_data import run_overview

    page = save_report(run_overview(job, name=name, by=by, seed=seed), out)
    say(f"report: {out} ({len(page) / 1e6:.1f} MB)")


COMMANDS = (tune, explain, report)
