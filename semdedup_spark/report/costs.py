"""The costs that ``plan`` expects, printed on a terminal."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table

from semdedup_spark.pipeline.queries.cost_plan import Plan
from semdedup_spark.report.terminal import counted, plain, print_line

# From so many on a number is written with two digits and a power of ten.
_MANY = 100_000


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
    p99, largest = (min(times * mean, n) for times in (sizes.p99, sizes.largest))
    shares = f"mean {mean:,.0f}, 99 % below {p99:,.0f}, largest {largest:,.0f}"
    seconds = at.core_seconds(plan.flops_per_second)
    even = (
        f"{_approximate(n * n / k)} of {_approximate(n * n)} (n^2 / k of n^2, as the paper counts)"
    )
    for name, value in (
        ("rows", f"{n:,} x {at.dimension}"),
        ("clusters", f"{k:,} on {counted(at.levels, 'level')}: {plan.why_clusters}"),
        ("rows of a cluster", shares if k > 1 else f"{n:,}"),
        *([("similarities, if even", even)] if k > 1 else []),
        ("comparisons", _comparisons(plan)),
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


def _comparisons(plan: Plan) -> str:
    """How many pairs are compared. The estimate counts n^2 / 2 pairs of n rows, so of a few rows it
    has more than there are.
    """
    at = plan.forecast
    pairs = at.n * (at.n - 1) / 2
    if at.comparisons >= pairs:
        return f"all pairs ({_approximate(pairs)}), each once"
    uneven = at.sizes.at(at.n_clusters)
    return (
        f"{_approximate(at.comparisons)} of {_approximate(pairs)} pairs, each once, for clusters "
        f"as uneven as expected ({uneven:.2f})"
    )


def _approximate(number: float) -> str:
    return f"{number:,.0f}" if number < _MANY else f"{number:.2g}"


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
    rows, clusters = counted(plan.n, "row"), counted(plan.n_clusters, "cluster")
    console.print(f"\n{rows} in {clusters}, estimated from a sample")
    grid = Table(box=None, pad_edge=False)
    for name in ("", "recall", "eps_max", "probes/row", "pairs", "of all", "visits made", "core-s"):
        align: Literal["left", "right"] = "left" if name in ("", "recall") else "right"
        grid.add_column(name, justify=align, no_wrap=True)
    half = max(plan.n**2 / 2, 0.5)  # costs, too, count half the square of a cluster's rows
    pairs = plan.n * (plan.n - 1) / 2
    for place, choice in enumerate(plan.choices):
        cost = choice.cost
        grid.add_row(
            ">" if place == plan.recommended else "",
            plain(choice.recall),
            f"{choice.eps_max:g}",
            f"{cost.probes / max(plan.n, 1):.2f}",
            _approximate(min(cost.comparisons, pairs)),
            f"{100 * min(cost.comparisons / half, 1):.2f} %",
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
