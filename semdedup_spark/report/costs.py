"""The costs that ``plan`` expects, printed on a terminal."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table

from semdedup_spark.pipeline.queries.cost_plan import Plan
from semdedup_spark.report.terminal import plain, print_line


def print_forecast(console: Console, plan: Plan) -> None:
    """Print the expected sizes and costs of comparing rows within clusters.

    Parameters
    ----------
    console
        Where to print.
    plan
        What to print.
    """
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
            f"{seconds:,.0f} at this machine's {plan.flops_per_second / 1e9:,.0f} GFLOP/s per core",
        ),
    ):
        rows.add_row(plain(name), plain(value))
    console.print(rows, soft_wrap=True)


def print_plan(console: Console, plan: Plan) -> None:
    """Print the cost of clustering, the choices of recall side by side, and the recommended one.

    Parameters
    ----------
    console
        Where to print.
    plan
        What to print. Without clusters it has no choices, and only the forecast is printed.
    """
    print_forecast(console, plan)
    if not plan.choices:
        print_line(console, f"\n{plan.why}")
        return
    clusters = f"{plan.n_clusters:,} cluster{'' if plan.n_clusters == 1 else 's'}"
    console.print(f"\n{plan.n:,} rows in {clusters}, estimated from a sample")
    grid = Table(box=None, pad_edge=False)
    for name in ("", "recall", "eps_max", "probes/row", "pairs", "of all", "visits made", "core-s"):
        align: Literal["left", "right"] = "left" if name in ("", "recall") else "right"
        grid.add_column(name, justify=align, no_wrap=True)
    pairs = max(plan.n**2 / 2, 1)  # costs, too, count half the square of a cluster's rows
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
        "visits made: share of the rows that make every visit that the proof of recall requires. "
        "core-s: seconds on one core to read, move and multiply; divide them by your number of "
        "cores.",
        soft_wrap=True,
    )
    best = plan.choices[plan.recommended]
    options = f"--set score.recall='{best.recall}' --set score.eps_max={best.eps_max:g}"
    print_line(console, f"\nrecommended: {options}\n  {plan.why}")
