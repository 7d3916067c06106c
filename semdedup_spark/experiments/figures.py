"""Figures of a sweep: accuracy by ratio, by clusters and by steps, with error bars over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from semdedup_spark.experiments.cells import METHODS, SUBSET
from semdedup_spark.experiments.results import Summary

_MARKERS = "sv^DPX*"
_GREY = "0.45"


def draw_sweep(
    summary: Sequence[Summary], path: Path, *, steps: int, at_ratio: float, at_clusters: int
) -> None:
    """Draw accuracy by ratio and by number of clusters.

    The first panel has the ratios at ``at_clusters``. A second panel has the numbers of clusters at
    ``at_ratio``, if there are several. Error bars show one standard deviation over seeds to each
    side.

    Parameters
    ----------
    summary
        What to draw.
    path
        File to write. Its extension chooses the format.
    steps
        Number of training steps after which accuracy was measured.
    at_ratio
        Percentage kept in the second panel.
    at_clusters
        Number of clusters in the first panel.
    """
    last = [line for line in summary if line.steps == steps]
    by_ratio = _below_all([s for s in last if s.n_clusters in (0, at_clusters)])
    by_k = [s for s in last if s.ratio == at_ratio and s.n_clusters]
    several = len({s.n_clusters for s in by_k}) > 1
    figure, panels = _figure(1, 1 + several, width=11 if several else 7)
    _lines(panels[0], by_ratio, lambda s: s.ratio)
    for line in last:
        if line.method == SUBSET and line.ratio == 100:
            label = f"all {line.n_kept:,} rows"
            panels[0].axhline(100 * line.mean, color="black", lw=1, ls=":", label=label)
        elif line.method == SUBSET and line.ratio == at_ratio and several:
            _band(panels[1], line)
    panels[0].set(xlabel="ratio: percent kept", title=f"k = {at_clusters}")
    panels[0].set_ylabel(f"test accuracy after {steps:,} steps, %")
    if several:
        _lines(panels[1], by_k, lambda s: float(s.n_clusters))
        panels[1].set(xlabel="k: number of clusters", title=f"{at_ratio:g} % kept")
    _save(figure, panels[0], path)


def draw_steps(summary: Sequence[Summary], path: Path, *, at_clusters: int) -> None:
    """Draw accuracy by training steps, in one panel for each ratio.

    Parameters
    ----------
    summary
        What to draw.
    path
        File to write. Its extension chooses the format.
    at_clusters
        Number of clusters.
    """
    rows = [s for s in summary if s.n_clusters in (0, at_clusters)]
    ratios = sorted({s.ratio for s in _below_all(rows)})
    figure, panels = _figure(1, len(ratios), width=2.9 * len(ratios) + 2)
    for panel, ratio in zip(panels, ratios, strict=True):
        own = [s for s in rows if s.ratio == ratio]
        _lines(panel, own, lambda s: float(s.steps))
        everything = sorted((s.steps, 100 * s.mean) for s in rows if s.ratio == 100)
        if everything:
            panel.plot(
                *zip(*everything, strict=True), color="black", lw=1, ls=":", label="all rows"
            )
        panel.set(xlabel="training steps", title=f"{ratio:g} % kept, {own[0].n_kept:,} rows")
    panels[0].set_ylabel("test accuracy, %")
    _save(figure, panels[0], path)


def _below_all(rows: list[Summary]) -> list[Summary]:
    """Return the rows with a ratio below 100. If there are none, return all."""
    return [s for s in rows if s.ratio < 100] or rows


def _lines(panel: Any, lines: Iterable[Summary], x: Any) -> None:
    rows = list(lines)
    places = sorted({x(s) for s in rows})
    spread = 0.01 * (places[-1] - places[0])
    methods = [m for m in (SUBSET, *METHODS) if any(s.method == m for s in rows)]
    for number, method in enumerate(methods):
        own = sorted((s for s in rows if s.method == method), key=x)
        shift = spread * (
            number - (len(methods) - 1) / 2
        )  # keeps error bars from hiding each other
        baseline = method == SUBSET
        place = 0 if baseline else METHODS.index(method)  # one method, one colour, in all figures
        panel.errorbar(
            [x(s) + shift for s in own],
            [100 * s.mean for s in own],
            yerr=[100 * s.deviation for s in own],
            label="random subset" if baseline else method,
            marker="o" if baseline else _MARKERS[place],
            color="black" if baseline else f"C{place}",
            ls="--" if baseline else "-",
            ms=4,
            lw=1.2,
            capsize=2,
        )
    panel.set_xticks(places, [f"{place:,.0f}" for place in places])
    panel.grid(color="0.9")


def _band(panel: Any, line: Summary) -> None:
    mean, deviation = 100 * line.mean, 100 * line.deviation
    panel.axhline(mean, color="black", lw=1, ls="--", label="random subset")
    panel.axhspan(mean - deviation, mean + deviation, color=_GREY, alpha=0.2, lw=0)


def _figure(rows: int, columns: int, *, width: float) -> Any:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        rows, columns, figsize=(width, 4.2 * rows), sharey=True, layout="constrained", squeeze=False
    )
    return figure, panels[0]


def _save(figure: Any, labelled: Any, path: Path) -> None:
    """Save a figure with one legend for all panels beside them, where it hides no point."""
    from matplotlib import pyplot as plt

    lines, names = labelled.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right center", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
