"""Progress and results, on a terminal or as plain lines in a log."""

from __future__ import annotations

import atexit
import sys
import textwrap
from collections.abc import Mapping, Sequence

from rich import progress as bars
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from semdedup_spark.answers.overview import Example
from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.job_context import Listener, Progress
from semdedup_spark.pipeline.stages.select.select_guards import background_note
from semdedup_spark.report.terminal import cell, counted, open_console, plain, print_line
from semdedup_spark.report.verdict import uncounted
from semdedup_spark.schema.measures import COUNTS
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import shown

_NOTES = open_console(stderr=True)
_WAITS: list[bars.Progress] = []
_SHOWN_LINES = 4
# Facts about a source, by which a later run knows it again.
_FOR_LATER_RUNS = {"has_id", "unique_ids", "schema", "dimension"}


def console_listener() -> Listener:
    """Make a listener that prints on standard error which stage runs, why, and how far it is.

    Returns
    -------
    Listener
        The listener.
    """
    return Listener(
        progress=lambda at: print_line(_NOTES, progress_line(at)),
        started=_show_start,
        finished=_show_end,
        noticed=_show,
        waiting=show_wait,
        failed=lambda _: _end_wait(),
    )


def show_wait(text: str) -> None:
    """Say on standard error what is being waited for, and that it goes on, until the next line.

    Parameters
    ----------
    text
        What is being done.
    """
    _show(text)
    if not _NOTES.is_terminal:
        return
    both = sys.stdout.isatty()  # else what is printed meanwhile must not pass through the console
    described = bars.TextColumn("{task.description}", markup=False)
    columns = bars.SpinnerColumn(), described, bars.TimeElapsedColumn()
    waiting = bars.Progress(*columns, console=_NOTES, transient=True, redirect_stdout=both)
    waiting.add_task(shown(text.partition(",")[0]), total=None)
    waiting.start()
    _WAITS.append(waiting)


@atexit.register  # or the terminal has no cursor any more
def _end_wait() -> None:
    while _WAITS:
        _WAITS.pop().stop()


def _show(text: str) -> None:
    _end_wait()
    print_line(_NOTES, text)


def _show_start(stage: str, why: str) -> None:
    show_wait(f"{stage}: computing, because {why}")


def _show_end(record: StageRecord) -> None:
    _end_wait()
    if record.reused:
        print_line(_NOTES, f"{record.stage}: reused, {record.why}")
    else:
        done = f"{record.stage}: done in {record.seconds:.1f} s ({counts_line(record)})"
        print_line(_NOTES, done)
    scored = record.counts.get("kept", 0) + record.counts.get("removed", 0)
    note, inside = background_note(record.metrics, scored)
    if inside:
        note = f"warning: {note}. At this eps, unrelated rows are removed."
    if note and (inside or not record.reused):
        print_line(_NOTES, f"{record.stage}: {note}")


def counts_line(record: StageRecord) -> str:
    """Write the counts of a stage in a fixed order, which the ledger does not keep.

    Parameters
    ----------
    record
        The stage's record in the ledger.

    Returns
    -------
    str
        For example ``read 8,000, embedded 7,990``.
    """
    known = {name: place for place, name in enumerate(COUNTS)}
    names = sorted(
        record.counts.keys() - _FOR_LATER_RUNS, key=lambda n: (known.get(n, len(known)), n)
    )
    return ", ".join(f"{name} {record.counts[name]:,}" for name in names)


def progress_line(at: Progress) -> str:
    """Write how far a stage is, how fast it is, and how long it will take.

    Parameters
    ----------
    at
        The progress of the stage.

    Returns
    -------
    str
        For example:
        ``embed: 1,400 of 8,000 rows (18 %), 82 rows/s, 1 min 20 s left, 3 rejected``.
    """
    through = at.rows + (at.rejected or 0)
    share = 100 * through / max(at.total, 1)
    rate = (through - at.before) / max(at.seconds, 1e-9)
    left = round(max(at.total - through, 0) / max(rate, 1e-9))
    eta = f", {left // 60} min {left % 60} s left" if through < at.total else ""
    rejected = f", {at.rejected:,} rejected" if at.rejected else ""
    of = counted(at.total, "row")
    pace = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
    rows = f"{at.stage}: {at.rows:,} of {of} ({share:.0f} %), {pace} rows/s"
    return f"{rows}{eta}{rejected}"


def print_summary(
    console: Console,
    *,
    counts: dict[str, int],
    eps: float,
    curve: Sequence[tuple[float, float]],
    reasons: Sequence[tuple[str, int]],
    overrides: int = 0,
    kept_in: str = "table deduplicated",
) -> None:
    """Print the counts of a run, why rows were quarantined, and what other thresholds would keep.

    Parameters
    ----------
    console
        Where to print.
    counts
        Numbers of rows: ``read``, ``kept``, ``removed`` and ``quarantined``, and perhaps
        ``uncovered``, ``unsearched`` and ``review``.
    eps
        The threshold of the selection.
    curve
        (eps, fraction kept in [0, 1]) of each threshold to print.
    reasons
        (reason, number of rows) of the quarantine.
    overrides
        Number of rows that people decided about, which the curve does not count.
    kept_in
        Where the kept rows are.
    """
    share = counts["kept"] / max(counts["kept"] + counts["removed"], 1)
    notes = {
        "kept": f"{100 * share:.1f} % of the scored rows, at eps {eps:g}: {kept_in}",
        "removed": "a kept row stands for each: table duplicates",
        "quarantined": "could not be read or embedded: table quarantine",
    }
    rows = Table(box=None, show_header=False, pad_edge=False)
    for name in ("read", "kept", "removed", "quarantined"):
        rows.add_row(f"rows {name}", f"{counts[name]:,}", notes.get(name, ""))
    console.print(rows)
    for reason, n in reasons:
        print_line(console, f"  quarantined as {reason}: {n:,}")
    _print_notes(console, counts, eps)
    console.print("\nkept fraction by eps (a row goes if an earlier one is over 1 - eps similar)")
    grid = Table(box=None, show_header=False, pad_edge=False)
    for value, fraction in curve:
        bar = "#" * round(40 * fraction)
        grid.add_row(
            f"  eps {value:g}", f"{100 * fraction:.1f} %", bar, "<" if value == eps else ""
        )
    console.print(grid)
    if overrides:
        print_line(console, f"  {uncounted(overrides)}")


def _print_notes(console: Console, counts: Mapping[str, int], eps: float) -> None:
    """What is odd about removed and kept rows, and what people may look at."""
    if counts.get("uncovered"):
        themselves = "is itself" if counts["uncovered"] == 1 else "are themselves"
        print_line(
            console,
            f"  uncovered: {counts['uncovered']:,} of the removed rows {themselves} not over "
            f"{1 - eps:g} similar to the kept row; other rows lie in between",
        )
    if counts.get("unsearched"):
        print_line(
            console,
            f"  unsearched: for {counts['unsearched']:,} of the rows it would cost too much to "
            "look for another row that they may go for",
        )
    if "review" in counts:
        print_line(
            console,
            f"  review: {counts['review']:,} of the kept rows lie between eps and select.review: "
            "table review, `semdedup audit --review`",
        )


def print_examples(
    console: Console,
    title: str,
    examples: Sequence[Example],
    *,
    signs: tuple[str, str] = ("-", "+"),
) -> None:
    """Print pairs of rows side by side, each text cut to a few lines.

    Parameters
    ----------
    console
        Where to print.
    title
        Title of the list.
    examples
        The pairs. In general each is a removed row and its survivor.
    signs
        Signs before the ids of the left and the right row.
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
    """Write for example ``similarity 0.9521; to the survivor 0.9312: not covered``."""
    told = f"similarity {similarity_text(example.similarity)}"
    if example.survivor_similarity is None:
        return told
    if example.neighbor_id != example.survivor_id:
        told += f"; to the survivor {similarity_text(example.survivor_similarity)}"
    return told if example.covered else f"{told}: not covered"


def _shorten(text: str) -> str:
    text = textwrap.dedent(masked(text)).strip()  # a cut text no longer shows where a secret is
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[:_SHOWN_LINES] + (["..."] if len(lines) > _SHOWN_LINES else []))


def print_next(console: Console, places: dict[str, str], commands: Sequence[str]) -> None:
    """Print where the tables are, and commands to try next.

    Parameters
    ----------
    console
        Where to print.
    places
        Name of each table, and its name in a query.
    commands
        The commands.
    """
    console.print("\ntables")
    for table, place in places.items():
        print_line(console, f"  {table:<13} {place}")
    console.print("\nnext")
    for command in commands:
        print_line(console, f"  {command}")
