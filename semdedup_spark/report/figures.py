"""Figures of thresholds and clusters. Matplotlib is imported when the first one is drawn.

Figures are made without pyplot. They open no window and share no state with the caller or between
threads.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from semdedup_spark.report.terminal import counted
from semdedup_spark.report.verdict import flat_stretch, from_horizon

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semdedup_spark.answers.tuning import Tuning

ACCENT = "#3f7fd6"
MARK = "#d9622b"
# as_svg replaces this colour by that of the text around the figure.
_INK = "#1a1b1c"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10,
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "semdedup",
}
_SIZE = (4.9, 3.1)


@contextmanager
def styled() -> Iterator[None]:
    """Give all figures that are drawn and saved inside the same style.

    Yields
    ------
    None
        Nothing.
    """
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def tune_figure(tuning: Tuning) -> bytes:
    """Draw the kept fraction against eps beside the histogram of M.

    Parameters
    ----------
    tuning
        The numbers to draw.

    Returns
    -------
    bytes
        A PNG file.
    """
    with styled():
        figure, (left, right) = new_figure(2)
        draw_kept(left, tuning)
        draw_similarities(right, tuning)
        return as_png(figure)


def new_figure(columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Make an empty figure with its axes side by side.

    Parameters
    ----------
    columns
        Number of axes.

    Returns
    -------
    tuple of Figure and list of Axes
        The figure, and its axes from left to right.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE[0] * columns, _SIZE[1]), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def as_png(figure: Figure) -> bytes:
    """Save a figure as PNG, on white, at 160 dots per inch.

    Parameters
    ----------
    figure
        A figure drawn within :func:`styled`.

    Returns
    -------
    bytes
        A PNG file.
    """
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return held.getvalue()


def as_svg(figure: Figure) -> str:
    """Save a figure as SVG for a page: transparent, in the page's own font and colour.

    Parameters
    ----------
    figure
        A figure drawn within :func:`styled`.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    held = io.StringIO()
    figure.savefig(held, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = held.getvalue()
    element = text[text.index("<svg") :].replace(_INK, "currentColor")
    return element.replace("<svg ", '<svg role="img" preserveAspectRatio="xMidYMid meet" ', 1)


def draw_kept(axes: Axes, tuning: Tuning) -> None:
    """Draw the kept fraction against eps, shade a flat stretch, and mark the selected point.

    Parameters
    ----------
    axes
        Axes to draw on.
    tuning
        The numbers to draw.
    """
    eps, kept = zip(*tuning.curve, strict=True)
    axes.plot(eps, kept, color=ACCENT, linewidth=2)
    flat = flat_stretch(tuning.curve, tuning.selected)
    if flat is not None:
        axes.axvspan(*flat, color=ACCENT, alpha=0.12, linewidth=0)
    chosen = tuning.selected
    if chosen is not None and chosen <= eps[-1]:
        at = _at(tuning, chosen)
        axes.plot([chosen], [at], "o", color=MARK, markersize=7, clip_on=False, zorder=3)
        low = at < (min(kept) + max(kept)) / 2
        axes.annotate(
            f"eps {chosen:.4g}: {100 * at:.1f} %",
            (chosen, at),
            xytext=(8, 8 if low else 6),
            textcoords="offset points",
            color=MARK,
        )
    axes.set_xlim(0, eps[-1])
    axes.set_xlabel("eps")
    axes.set_ylabel("fraction kept")
    axes.grid(alpha=0.25)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")


def _at(tuning: Tuning, eps: float) -> float:
    """Return the exact share if it was counted, otherwise interpolate on the curve."""
    import numpy as np

    for threshold in tuning.thresholds:
        if threshold.eps == eps:
            return threshold.kept
    xs, ys = zip(*tuning.curve, strict=True)
    return float(np.interp(eps, xs, ys))


def draw_similarities(axes: Axes, tuning: Tuning) -> None:
    """Draw the histogram of max_similarity, from the horizon on, on a log scale.

    Rows below the horizon are one number in the label of the axis. Bins that the selection removes
    have another colour.

    Parameters
    ----------
    axes
        Axes to draw on.
    tuning
        The numbers to draw.
    """
    below, bins = from_horizon(tuning)
    low, high, rows = ([each[place] for each in bins] for place in range(3))
    widths = [b - a for a, b in zip(low, high, strict=True)]
    limit = 1 - tuning.selected if tuning.selected is not None else 2.0
    colours = [MARK if a >= limit - 1e-9 else ACCENT for a in low]
    axes.bar(low, rows, width=widths, align="edge", color=colours, linewidth=0)
    if tuning.selected is not None:
        axes.axvline(limit, color=MARK, linewidth=1, linestyle="--")
    if any(rows):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    horizon = 1 - tuning.eps_max
    axes.set_xlim(horizon, 1)
    axes.set_xlabel(
        f"max_similarity, from the horizon {horizon:.4g} on; {counted(below, 'row')} below it"
    )
    axes.set_ylabel("rows")


def draw_counts(axes: Axes, counts: Sequence[int], what: str) -> None:
    """Draw a histogram of positive counts with geometric bins on logarithmic axes.

    Parameters
    ----------
    axes
        Axes to draw on.
    counts
        A count of rows for each cluster. Zeros are left out.
    what
        Label of the horizontal axis.
    """
    import numpy as np

    values = np.asarray([count for count in counts if count > 0], dtype=float)
    if len(values) == 0:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center")
        axes.set_axis_off()
        return
    edges = np.unique(np.round(np.geomspace(1, values.max() + 1, 25)))
    axes.hist(values, bins=_floats(edges), color=ACCENT, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.set_xlabel(what)
    axes.set_ylabel("clusters")


def _floats(values: Any) -> list[float]:
    return [float(value) for value in values]
