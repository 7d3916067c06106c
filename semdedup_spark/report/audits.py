"""Audits, printed on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from semdedup_spark.answers.audit import Audit, RecallAudit, Share
from semdedup_spark.report.terminal import cell, counted, print_line


def print_audit(console: Console, audit: Audit) -> None:
    """Print how many of the removals are right.

    Parameters
    ----------
    console
        Where to print.
    audit
        What to print.
    """
    n_judged = sum(each.n_judged for each in audit.strata)
    if audit.precision is None:
        print_line(
            console,
            f"no precision yet: {counted(n_judged, 'verdict')} of the drawn {_noun(audit)}s, "
            f"{audit.n_open:,} without one",
        )
        return
    _print_whole(console, audit, audit.precision, n_judged)
    if audit.n_open:
        print_line(console, f"{audit.n_open:,} of the drawn {_noun(audit)}s have no verdict yet")
    if audit.n_disagreeing:
        print_line(
            console,
            f"reviewers disagree on {counted(audit.n_disagreeing, _noun(audit))}; the newest "
            "verdict counts",
        )
    _print_strata(console, audit)
    _print_by_eps(console, audit)


def _noun(audit: Audit) -> str:
    return "row" if audit.nearest else "removal"


def _print_whole(console: Console, audit: Audit, precision: Share, n_judged: int) -> None:
    verdicts = counted(n_judged, "verdict")
    if audit.nearest:
        few, many = (round(share * audit.n_removals) for share in (precision.low, precision.high))
        said = (
            f"{_percent(precision)} of the rows between eps {audit.nearest:.6g} and "
            f"{audit.eps:.6g} are duplicates, from {verdicts}",
            f"of {counted(audit.n_removals, 'row')} that were kept some {few:,} to {many:,} are "
            "duplicates (95 %)",
        )
    else:
        wrong = Share(*(1 - at for at in _ends(precision)))
        few, many = (round(share * audit.n_removals) for share in (wrong.low, wrong.high))
        said = (
            f"precision {_percent(precision)} at eps {audit.eps:.6g}, from {verdicts}",
            f"of {counted(audit.n_removals, 'removal')} some {few:,} to {many:,} are wrong (95 %)",
        )
    for line in said:
        print_line(console, line)


def _print_strata(console: Console, audit: Audit) -> None:
    table = _table("similarity to the survivor", "rows", "judged", "right", "precision")
    for each in audit.strata:
        counts = (f"{n:,}" for n in (each.n_removals, each.n_judged, each.n_right))
        table.add_row(
            *map(cell, (each.name.removeprefix("similarity "), *counts, _percent(each.precision)))
        )
    console.print(table)


def _print_by_eps(console: Console, audit: Audit) -> None:
    table = _table("eps", "covered", "precision")
    for at in audit.by_eps:
        row = f"{at.eps:.6g}", f"{at.n_removals:,}", _percent(at.precision)
        table.add_row(*map(cell, row))
    console.print(table)
    if audit.wanted is None:
        return
    wanted = f"a precision of at least {100 * audit.wanted:.6g} %"
    if audit.eps_for_wanted is None:
        print_line(console, f"no eps of these has {wanted}, as far as these verdicts can tell")
    else:
        what = f"covered {_noun(audit)}s up to" if audit.nearest else "covered removals at"
        print_line(console, f"the {what} eps {audit.eps_for_wanted:.6g} have {wanted}")


def print_recall(console: Console, audit: RecallAudit) -> None:
    """Print how many duplicates were found.

    Parameters
    ----------
    console
        Where to print.
    audit
        What to print.
    """
    print_line(
        console,
        f"{counted(audit.n_rows, 'row')} drawn at random, each compared with every row that ranks "
        f"before it; the scores call {audit.n_certified:,} of them exhaustive",
    )
    table = _table("eps", "with a duplicate", "found", "recall")
    for at in audit.by_eps:
        row = f"{at.eps:.6g}", f"{at.n_true:,}", f"{at.n_found:,}", _percent(at.recall)
        table.add_row(*map(cell, row))
    console.print(table)


def _ends(share: Share) -> tuple[float, float, float]:
    return share.value, share.high, share.low


def _percent(share: Share | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _table(*columns: str) -> Table:
    table = Table(box=None)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right")
    return table
