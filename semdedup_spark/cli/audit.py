"""The command ``audit``: how many removals are right, and how many duplicates were found."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark.cli.options import opened_job, reading_options, wait_option, working_job
from semdedup_spark.report.files import check_writable, replace_file
from semdedup_spark.report.terminal import counted, open_console, say, say_json

if TYPE_CHECKING:
    from semdedup_spark.pipeline.queries.audit.draw import Drawing

_FILE = click.Path(path_type=Path, dir_okay=False)
_HOW = {
    ".html": "open it in a browser, judge, save, and give the file to --verdicts",
    ".csv": "fill the columns judgement (duplicate, not or skip) and reviewer, and give it to "
    "--verdicts",
}


@click.command()
@reading_options
@wait_option
@click.option("--name", help="A named selection, such as strict, instead of the main one.")
@click.option(
    "--sample",
    type=click.IntRange(1, 5_000),
    default=500,
    show_default=True,
    help="Number of removals to draw.",
)
@click.option(
    "--review",
    is_flag=True,
    help="Draw from the table review instead of the removals: rows beyond eps, not removed.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**62),
    default=0,
    show_default=True,
    help="Random seed of the draw.",
)
@click.option("--by", metavar="COLUMN", help="Draw from each value of a column of the source.")
@click.option(
    "--out",
    type=_FILE,
    metavar="FILE",
    help="Write the drawn removals for review: .html for a browser, or .csv, or .parquet.",
)
@click.option(
    "--verdicts", type=_FILE, metavar="FILE", help="Read verdicts: the file that the review saved."
)
@click.option(
    "--precision",
    "wanted",
    type=click.FloatRange(0, 1),
    help="Also find the largest eps that has at least this precision.",
)
@click.option(
    "--apply",
    "applied",
    is_flag=True,
    help="From the next select on pairs judged `not` stay apart, and rows of review judged "
    "`duplicate` go: the tables never_merge and also_merge.",
)
@click.option(
    "--recall", is_flag=True, help="Instead compare rows drawn at random with all rows: recall."
)
@click.option(
    "--rows",
    type=click.IntRange(1, 5_000),
    default=1_000,
    show_default=True,
    help="Number of rows that --recall draws.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def audit(**given: Any) -> None:
    """Estimate how many removals are right, from what people say of some that are drawn.

    First write a file for review with --out. Then give the verdicts with --verdicts, and the same
    --sample, --seed and --by. Verdicts are kept in the table verdicts, and count again after the
    next night. With --recall no person is needed: it tells how many duplicates were found.

    Parameters
    ----------
    **given
        Values of the options.

    Notes
    -----
    :class:`click.UsageError` where options do not go together.
    """
    _check(given)
    if given["recall"]:
        _audit_recall(given)
    elif given["out"] is not None:
        _write_review(given)
    elif given["verdicts"] is not None or given["applied"]:
        with working_job(given["config"], given["overrides"], None, given["wait"]) as job:
            _check_selection(job, given)
            _take_verdicts(job, given)
            _print_precision(job, given)
    else:
        _print_precision(opened_job(given["config"], given["overrides"], None), given)


def _check(given: dict[str, Any]) -> None:
    out = given["out"]
    if out is not None and out.suffix not in (*_HOW, ".parquet"):
        raise click.UsageError(f"--out must end with .html, .csv or .parquet. Got {out.name!r}.")
    if out is not None and given["verdicts"] is not None:
        raise click.UsageError("--out writes a file for review, --verdicts reads it: give one.")
    alone = [name for name in ("out", "verdicts") if given[name] is not None]
    alone += ["apply"] if given["applied"] else []
    alone += ["review"] if given["review"] else []
    if given["recall"] and alone:
        raise click.UsageError(f"--recall needs no verdicts: leave out --{alone[-1]}.")
    if out is not None:
        check_writable("--out", out)


def _check_selection(job: Any, given: dict[str, Any]) -> None:
    """Refuse what cannot be audited before verdicts are stored."""
    from semdedup_spark.pipeline.queries.selections import require_selection, review_of

    selection = require_selection(job, given["name"])
    if given["review"]:
        review_of(job, selection)


def _drawing(given: dict[str, Any]) -> Drawing:
    from semdedup_spark.pipeline.queries.audit.draw import Drawing

    return Drawing(given["sample"], given["seed"], given["by"], given["review"])


def _write_review(given: dict[str, Any]) -> None:
    job = opened_job(given["config"], given["overrides"], None)
    from semdedup_spark.pipeline.queries.audit.draw import draw_removals
    from semdedup_spark.pipeline.queries.audit.precision import known_verdicts
    from semdedup_spark.pipeline.queries.selections import require_selection
    from semdedup_spark.report.review_page import render_review
    from semdedup_spark.report.verdict_files import write_for_review

    out, name, noun = given["out"], given["name"], "row" if given["review"] else "removal"
    removals = draw_removals(job, _drawing(given), name)
    if out.suffix == ".html":
        page = render_review(
            removals,
            known=known_verdicts(job, removals),
            title=f"Review of {counted(len(removals), noun)}",
            eps=require_selection(job, name).eps,
            output=job.root.location,
            removed=not given["review"],
        )
        replace_file(out, page.encode())
    else:
        write_for_review(removals, out)
    say(f"review: {out} ({counted(len(removals), noun)})")
    say(f"next: {_HOW.get(out.suffix, _HOW['.csv'])}")


def _take_verdicts(job: Any, given: dict[str, Any]) -> None:
    from semdedup_spark.pipeline.operations.verdicts import apply_verdicts, store_verdicts
    from semdedup_spark.report.verdict_files import read_verdicts

    if given["verdicts"] is not None:
        kept = store_verdicts(job, read_verdicts(given["verdicts"]))
        say(f"verdicts: {kept.changed:,} new or changed, {kept.total:,} in all", err=True)
    if given["applied"]:
        applied = apply_verdicts(job)
        for table, kept in applied.items():
            say(f"{table}: {kept.changed:,} new or changed, {kept.total:,} in all", err=True)
        if any(kept.changed for kept in applied.values()):
            say("next: semdedup select, for each selection that you use", err=True)


def _print_precision(job: Any, given: dict[str, Any]) -> None:
    from semdedup_spark.pipeline.queries.audit.precision import run_audit
    from semdedup_spark.report.audits import print_audit

    found = run_audit(job, _drawing(given), given["name"], given["wanted"])
    if given["as_json"]:
        say_json(asdict(found))
    else:
        print_audit(open_console(), found)


def _audit_recall(given: dict[str, Any]) -> None:
    job = opened_job(given["config"], given["overrides"], None)
    from semdedup_spark.pipeline.queries.audit.recall import run_recall_audit
    from semdedup_spark.report.audits import print_recall

    found = run_recall_audit(job, given["rows"], given["seed"])
    if given["as_json"]:
        say_json(asdict(found))
    else:
        print_recall(open_console(), found)


COMMANDS = (audit,)
