"""The results of ``tune``, ``explain`` and ``sql``, printed on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from semdedup_spark.answers.explanation import Explanation
from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.answers.sql import Answer
from semdedup_spark.answers.tuning import Tuning
from semdedup_spark.report.differences import shortened
from semdedup_spark.report.terminal import cell, counted, print_line
from semdedup_spark.report.verdict import uncounted, uneven
from semdedup_spark.visible import inline

_MOST_COLUMNS = 7
_MOST_CHARACTERS = 200
_WIDEST = 80


def print_tuning(console: Console, tuning: Tuning) -> None:
    """Print the fraction kept at each eps, the eps for each wanted fraction, and notes on both.

    Parameters
    ----------
    console
        Where to print.
    tuning
        What to print.
    """
    share = _percent(tuning.copies / max(tuning.rows, 1))
    are = "is an exact copy" if tuning.copies == 1 else "are exact copies"
    print_line(
        console,
        f"{counted(tuning.rows, 'scored row')}; {tuning.copies:,} ({share}) {are} of an earlier "
        f"row. Horizon, the largest eps to ask for: {tuning.eps_max:g} (score.eps_max). "
        f"recall: {tuning.recall}.",
    )
    grid = Table(box=None, pad_edge=False)
    for name in ("", "eps", "kept", "removed", "in groups"):
        grid.add_column(name, justify="right", no_wrap=True)
    for at in tuning.thresholds:
        grid.add_row(
            ">" if at.eps == tuning.selected else "",
            f"{at.eps:.6g}" + ("*" if at.eps > tuning.eps_max else ""),
            _percent(at.kept),
            f"{at.removed:,}",
            _percent(at.in_groups),
        )
    console.print(grid)
    how_many = (
        "It is exact over all pairs that were compared"
        if tuning.in_groups_exact
        else "It is a lower bound, because a kept row counts only if it is the best match of a "
        "later row. --both-sides counts all"
    )
    console.print(
        "in groups: share of the rows, removed or kept, that have a duplicate before or after them "
        f"in rank order. {how_many}. *: beyond eps_max, where scores are incomplete.",
        soft_wrap=True,
    )
    if tuning.overrides:
        print_line(console, uncounted(tuning.overrides))
    _print_targets(console, tuning)
    if tuning.sources:
        _print_sources(console, tuning)
    if tuning.sizes:
        _print_sizes(console, tuning)


def _print_targets(console: Console, tuning: Tuning) -> None:
    console.print()
    grid = Table(box=None, pad_edge=False)
    for name in ("to keep", "eps", "keeps"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("")
    notes = {
        None: "",
        "copies": "cannot be reached: exact copies go at any eps "
        f"({counted(tuning.copies, 'row')})",
        "horizon": f"beyond score.eps_max {tuning.eps_max:g}: raise it and score again",
    }
    for target in tuning.targets:
        grid.add_row(
            _percent(target.wanted),
            "?" if target.eps is None else f"{target.eps:.6g}",
            "" if target.kept is None else _percent(target.kept),
            notes[target.limit],
        )
    console.print(grid)
    console.print(
        "Rows of equal similarity are kept or removed together, so slightly more may be kept than "
        "you asked for.",
        soft_wrap=True,
    )


def _print_sources(console: Console, tuning: Tuning) -> None:
    shown = tuning.thresholds[-_MOST_COLUMNS:]
    first = len(tuning.thresholds) - len(shown)
    print_line(console, f"\nkept fraction by {inline(tuning.by)} and eps")
    grid = Table(box=None, pad_edge=False)
    grid.add_column(cell(tuning.by), overflow="fold")
    for name in ("rows", *(f"{at.eps:.4g}" for at in shown)):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in tuning.sources:
        shares = (_percent(share) for share in each.kept[first:])
        grid.add_row(cell(each.name), f"{each.rows:,}", *shares)
    console.print(grid)
    if told := uneven(tuning):
        print_line(console, inline(told))


def _print_sizes(console: Console, tuning: Tuning) -> None:
    shown = tuning.thresholds[-_MOST_COLUMNS:]
    first = len(tuning.thresholds) - len(shown)
    print_line(console, "\nremoved fraction of a corpus of random rows, by its size and eps")
    grid = Table(box=None, pad_edge=False)
    for name in ("rows", *(f"{at.eps:.4g}" for at in shown)):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in tuning.sizes:
        grid.add_row(f"{each.rows:,}", *(_percent(1 - share) for share in each.kept[first:]))
    console.print(grid)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def print_explanation(console: Console, told: Explanation) -> None:
    """Print what became of a row, why, and what would change it.

    Parameters
    ----------
    console
        Where to print.
    told
        What to print.
    """
    at = "" if told.eps is None else f" at eps {told.eps:.6g}"
    of = f" in selection {told.selection}" if told.selection else ""
    fate = "scored; no selection was made yet" if told.fate == "scored" else told.fate
    why = f", by {told.reason}" if told.reason else ""
    _line(console, f"{inline(told.id)}: {fate}{at}{of}{why}")
    _content(console, told, told.id)
    for each in told.rejections:
        other = "" if told.standing is None else " (another row with this id)"
        _line(console, f"quarantined by {each.stage} as {each.reason}: {each.message}{other}")
    if told.standing is not None:
        _print_standing(console, told)
    if told.decision:
        _line(console, f"a person decided: {told.decision}")
    if told.protected_from is not None:
        other = inline(told.protected_from)
        _line(
            console,
            "select.must_agree, or a pair of never_merge, keeps it: otherwise it would be removed "
            f"because of {other}",
        )
    if told.in_review_for is not None:
        other = inline(told.in_review_for)
        _line(console, f"in the table review, for people to judge beside {other}")
    if told.chain:
        _print_chain(console, told)
    if told.fate == "kept" and told.reference_contents is None:
        _line(console, f"\nstands for {counted(told.n_absorbed, 'removed row')}")
        for row in told.absorbed:
            _line(console, f"  {inline(row.id)}  similarity {_number(row.survivor_similarity)}")
            _content(console, told, row.id)
        if told.n_absorbed > len(told.absorbed):
            others = told.n_absorbed - len(told.absorbed)
            _line(console, f"  and {counted(others, 'less similar one')}")


def _print_standing(console: Console, told: Explanation) -> None:
    at = told.standing
    if at is None:
        return
    rows = Table(box=None, show_header=False, pad_edge=False)
    place = f"{at.rank_in_cluster:,} of {at.cluster_rows:,}"
    rows.add_row(
        "cluster",
        f"{at.cluster_id}, similarity to its centroid {similarity_text(at.centroid_similarity)}",
    )
    key = inline(at.rank_key)[:64]
    rows.add_row("rank in the cluster", cell(f"{place} (batch {at.batch}, rank_key {key})"))
    others = "earlier row" if told.reference_contents is None else "row of the reference"
    if at.neighbor_id is None:
        rows.add_row(f"nearest {others}", "none above the horizon")
    else:
        near = cell(f"{at.neighbor_id}, similarity {similarity_text(at.max_similarity)}")
        rows.add_row(f"nearest {others}", near)
    if at.kept_up_to > 0:
        limit = " (eps_max)" if at.kept_up_to >= at.eps_max else ""
        rows.add_row("kept", f"at any eps up to {at.kept_up_to:.6g}{limit}, by its own similarity")
    else:
        rows.add_row("kept", "at no eps: it is an exact copy of the neighbor")
    if not at.exhaustive:
        rows.add_row("", "not exhaustive: other clusters may hold nearer rows")
    console.print(rows)
    if told.fate != "removed" and at.neighbor_id is not None:
        _other_content(console, told, at.neighbor_id)


def _print_chain(console: Console, told: Explanation) -> None:
    if told.survivor_id is None:
        _line(console, "\nremoved by a decision about this row: no kept row stands for it")
        return
    _line(console, "\nthe way to its survivor")
    for link in told.chain:
        step = f"  {inline(link.id)} -> {inline(link.neighbor_id)}"
        step += f"  similarity {_number(link.similarity)}"
        _line(console, step)
        _other_content(console, told, link.neighbor_id)
    if not told.chain_complete:
        _line(console, f"  ... and further links, to {inline(told.survivor_id)}")
        _other_content(console, told, told.survivor_id)
    cover = "enough" if told.covered else "not enough"
    direct = _number(told.survivor_similarity)
    _line(
        console,
        f"survivor {inline(told.survivor_id)}: direct similarity {direct}, {cover} to remove the "
        "row by itself",
    )


def _number(similarity: float | None) -> str:
    return "unknown" if similarity is None else similarity_text(similarity)


def _line(console: Console, text: str) -> None:
    print_line(console, text)


def _content(console: Console, told: Explanation, row_id: object) -> None:
    _print_content(console, told.contents.get(str(row_id), ""))


def _other_content(console: Console, told: Explanation, row_id: object) -> None:
    """Print the content of a neighbor or survivor."""
    others = told.contents if told.reference_contents is None else told.reference_contents
    _print_content(console, others.get(str(row_id), ""))


def _print_content(console: Console, content: str) -> None:
    text = " ".join(content.split())
    if text:
        _line(console, f"      {shortened(text, _MOST_CHARACTERS)}")


def print_answer(console: Console, answer: Answer) -> None:
    """Print the rows of a query as a table.

    Parameters
    ----------
    console
        Where to print.
    answer
        The rows.
    """
    grid = Table(box=None, pad_edge=False)
    for name, is_number in zip(answer.columns, answer.numbers, strict=True):
        if is_number:
            grid.add_column(cell(name), justify="right", no_wrap=True)
        else:
            grid.add_column(cell(name), overflow="fold")
    for row in answer.rows:
        grid.add_row(*(cell("null" if value is None else _cut(value)) for value in row))
    console.print(grid)


def _cut(value: str) -> str:
    value = inline(value)  # what is cut no longer shows where a secret is
    return value if len(value) <= _WIDEST else f"{value[: _WIDEST - 3]}..."
