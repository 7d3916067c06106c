"""Progress and results on a terminal, or as plain lines in a log."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from semdedup_spark.pipeline.job_context import Listener, Progress
from semdedup_spark.pipeline.queries.cost_plan import Plan
from semdedup_spark.pipeline.queries.summary import Example
from semdedup_spark.pipeline.stages.select_guards import background_note
from semdedup_spark.report.terminal import cell, open_console, plain, print_line
from semdedup_spark.tables.runs import StageRecord

_NOTES = open_console(stderr=True)
_SHOWN_LINES = 4
_COUNTS = (
    *("read", "embedded", "embedded_distinct", "reused", "encoded"),
    *("rows", "sample_rows", "n_clusters_wanted", "n_clusters", "levels"),
    *("units", "targets", "gone", "comparisons", "probes"),
    *("kept", "removed", "quarantined", "uncovered", "protected"),
)


def console_listener() -> Listener:
    """Tells, on standard error, which stage runs and why, and how far it is."""
    return Listener(progress=_show_progress, started=_show_start, finished=_show_end, noticed=_show)


def _show(text: str) -> None:
    print_line(_NOTES, text)


def _show_start(stage: str, why: str) -> None:
    print_line(_NOTES, f"{stage}: computing, because {why}")


def _show_end(record: StageRecord) -> None:
    if record.reused:
        print_line(_NOTES, f"{record.stage}: reused, {record.why}")
    else:
        done = f"{record.stage}: done in {record.seconds:.1f} s ({counts_line(record)})"
        print_line(_NOTES, done)
    note, inside = background_note(record.metrics)
    if inside:
        note = f"warning: {note}. At this eps rows go that have nothing to do with each other."
    if note and (inside or not record.reused):
        print_line(_NOTES, f"{record.stage}: {note}")


def counts_line(record: StageRecord) -> str:
    """``read 8,000, embedded 7,990``: in one order, which the ledger does not keep."""
    known = {name: place for place, name in enumerate(_COUNTS)}
    names = sorted(record.counts.keys() - {"has_id"}, key=lambda n: (known.get(n, len(known)), n))
    return ", ".join(f"{name} {record.counts[name]:,}" for name in names)


def _show_progress(at: Progress) -> None:
    print_line(_NOTES, progress_line(at))


def progress_line(at: Progress) -> str:
    """``embed: 1,400 of 8,000 rows (17 %), 82 rows/s, 1 min 20 s left, 3 rejected``."""
    through = at.rows + (at.rejected or 0)
    share = 100 * through / max(at.total, 1)
    rate = (through - at.before) / max(at.seconds, 1e-9)
    left = round(max(at.total - through, 0) / max(rate, 1e-9))
    eta = f", {left // 60} min {left % 60} s left" if through < at.total else ""
    rejected = f", {at.rejected:,} rejected" if at.rejected else ""
    rows = f"{at.stage}: {at.rows:,} of {at.total:,} rows ({share:.0f} %), {rate:,.0f} rows/s"
    return f"{rows}{eta}{rejected}"


def print_summary(
    console: Console,
    *,
    counts: dict[str, int],
    eps: float,
    curve: Sequence[tuple[float, float]],
    reasons: Sequence[tuple[str, int]],
) -> None:
    """The books, why rows were quarantined, and what other thresholds would keep."""
    share = counts["kept"] / max(counts["kept"] + counts["removed"], 1)
    rows = Table(box=None, show_header=False, pad_edge=False)
    for name in ("read", "kept", "removed", "quarantined"):
        note = f"{100 * share:.1f} % of the scored rows, at eps {eps:g}" if name == "kept" else ""
        rows.add_row(f"rows {name}", f"{counts[name]:,}", note)
    console.print(rows)
    for reason, n in reasons:
        print_line(console, f"  quarantined as {reason}: {n:,}")
    console.print("\nkept fraction by eps (a row goes when its max_similarity > 1 - eps)")
    grid = Table(box=None, show_header=False, pad_edge=False)
    for value, fraction in curve:
        bar = "#" * round(40 * fraction)
        grid.add_row(
            f"  eps {value:g}", f"{100 * fraction:.1f} %", bar, "<" if value == eps else ""
        )
    console.print(grid)


def print_forecast(console: Console, plan: Plan) -> None:
    """Sizes and costs of comparing within clusters, before anything is computed."""
    at, sizes = plan.forecast, plan.forecast.sizes
    k, n = at.n_clusters, at.n
    rows = Table(box=None, show_header=False, pad_edge=False)
    mean = at.mean_size
    shares = (
        f"mean {mean:,.0f}, 99 % below {sizes.p99 * mean:,.0f}, largest {sizes.largest * mean:,.0f}"
    )
    seconds = at.core_seconds(plan.flops_per_second)
    for name, value in (
        ("rows", f"{n:,} x {at.dimension}"),
        (
            "clusters",
            f"{k:,} on {at.levels} level{'s' if at.levels > 1 else ''}: {plan.why_clusters}",
        ),
        ("rows of a cluster", shares if k > 1 else f"{n:,}"),
        (
            "similarities, if even",
            f"{n * n / k:.2g} of {n * n:.2g} (n^2 / k of n^2, as the paper counts)",
        ),
        (
            "comparisons",
            f"{at.comparisons:.2g} of {n * (n - 1) / 2:.2g} pairs, each once, for clusters as "
            f"uneven as expected ({sizes.at(k):.2f})",
        ),
        (
            "floating point operations",
            f"{2 * at.training:.2g} to train, {2 * at.assignment:.2g} to assign, "
            f"{2 * at.comparison:.2g} to compare",
        ),
        ("vectors shuffled", f"{at.bytes_moved / 2**30:,.2f} GiB"),
        (
            "core-seconds",
            f"{seconds:,.0f} at this machine's {plan.flops_per_second / 1e9:,.0f} GFLOP/s a core",
        ),
    ):
        rows.add_row(plain(name), plain(value))
    console.print(rows, soft_wrap=True)


def print_plan(console: Console, plan: Plan) -> None:
    """What clustering costs; the choices of recall side by side, and the one to take."""
    print_forecast(console, plan)
    if not plan.choices:
        print_line(console, f"\n{plan.why}")
        return
    console.print(f"\n{plan.n:,} rows in {plan.n_clusters:,} clusters, estimated from a sample")
    grid = Table(box=None, pad_edge=False)
    for name in ("", "recall", "eps_max", "probes/row", "pairs", "of all", "visits made", "core-s"):
        align: Literal["left", "right"] = "left" if name in ("", "recall") else "right"
        grid.add_column(name, justify=align, no_wrap=True)
    pairs = max(plan.n * (plan.n - 1) / 2, 1)
    for place, choice in enumerate(plan.choices):
        cost = choice.cost
        grid.add_row(
            ">" if place == plan.recommended else "",
            plain(choice.recall),
            f"{choice.eps_max:g}",
            f"{cost.probes / max(plan.n, 1):.2f}",
            f"{cost.comparisons:.2g}",
            f"{100 * cost.comparisons / pairs:.2f} %",
            "" if choice.not_cut is None else f"{100 * choice.not_cut:.1f} %",
            f"{cost.core_seconds:,.0f}",
        )
    console.print(grid)
    console.print(
        "visits made: share of the rows that make all visits that proof demands. core-s: seconds "
        "of one core to read, move and multiply; divide by your cores.",
        soft_wrap=True,
    )
    best = plan.choices[plan.recommended]
    options = f"--set score.recall='{best.recall}' --set score.eps_max={best.eps_max:g}"
    print_line(console, f"\nrecommended: {options}\n  {plan.why}")


def print_examples(
    console: Console,
    title: str,
    examples: Sequence[Example],
    *,
    signs: tuple[str, str] = ("-", "+"),
) -> None:
    """Each row beside another, by default a removed one beside its survivor, texts cut to a few
    lines. ``signs``: before the ids of both.
    """
    print_line(console, f"\n{title}")
    if not examples:
        print_line(console, "  none")
    for example in examples:
        body = Table.grid(expand=True, padding=(0, 2))
        body.add_column(ratio=1, overflow="fold")
        body.add_column(ratio=1, overflow="fold")
        ids = zip(signs, (example.id, example.survivor_id), strict=True)
        body.add_row(*(cell(f"{sign} {row_id}") for sign, row_id in ids))
        if example.neighbor_id not in (None, example.survivor_id):
            body.add_row(cell(f"because of {example.neighbor_id}"), plain(""))
        body.add_row(plain(_shorten(example.text)), plain(_shorten(example.survivor_text)))
        console.print(Panel(body, title=plain(_measured(example)), title_align="left"))


def _measured(example: Example) -> str:
    """``similarity 0.9521; to the survivor 0.9312: not covered``."""
    told = f"similarity {example.similarity:.4f}"
    if example.survivor_similarity is None:
        return told
    if example.neighbor_id != example.survivor_id:
        told += f"; to the survivor {example.survivor_similarity:.4f}"
    return told if example.covered else f"{told}: not covered"


def _shorten(text: str) -> str:
    lines = [line for line in textwrap.dedent(text).strip().splitlines() if line.strip()]
    return "\n".join(lines[:_SHOWN_LINES] + (["..."] if len(lines) > _SHOWN_LINES else []))


def print_next(console: Console, places: dict[str, str], query: str) -> None:
    """Where the tables are, and one query to type next."""
    console.print("\ntables")
    for table, place in places.items():
        print_line(console, f"  {table:<13} {place}")
    console.print("\nnext, in spark.sql:")
    print_line(console, textwrap.indent(query, "  "))
