"""The results of a sweep, printed on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

from semdedup_spark.experiments.results import Summary
from semdedup_spark.report.terminal import open_console, plain


def print_sweep(lines: Sequence[Summary]) -> None:
    """Print accuracy, deviation and gain over a random subset for each method, k and ratio.

    Parameters
    ----------
    lines
        What to print, in this order.
    """
    console = open_console(width=120)
    grid = Table(box=None, pad_edge=False)
    titles = ("method", "k", "ratio", "rows", "steps", "seeds", "accuracy", "sd", "gain", "+-", "s")
    for name in titles:
        grid.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    copies = any(line.copies_kept >= 0 for line in lines)
    if copies:
        grid.add_column("copies kept", justify="right")
    for line in lines:
        cells: list[RenderableType] = [
            plain(line.method),
            str(line.n_clusters or ""),
            f"{line.ratio:g}",
            f"{line.n_kept:,}",
            f"{line.steps:,}",
            str(line.n_seeds),
            f"{100 * line.mean:.2f}",
            f"{100 * line.deviation:.2f}",
            f"{100 * line.gain:+.2f}",
            f"{100 * line.gain_error:.2f}",
            f"{line.seconds:.2f}",
        ]
        grid.add_row(*cells, *([f"{100 * line.copies_kept:.1f} %"] if copies else []))
    console.print(grid)
    console.print(
        "accuracy: mean over seeds, in percent, with its sample standard deviation (sd). gain: "
        "accuracy above a random subset of the same size, steps and seed, in percentage points, "
        "with its standard error (+-). s: seconds of training.",
        soft_wrap=True,
    )
