"""Figures of clusters: cosines before and after pruning, and pictures near the centroids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.statistics.histograms import ClusterHistograms, Counts


def draw_histograms(
    histograms: Sequence[ClusterHistograms], title: str = "", *, columns: int = 5
) -> Any:
    """Draw the cosines within each cluster before and after pruning.

    For each cluster, the cosines of its rows to the centroid stand above the cosines of all pairs
    of its rows. Filled areas show the rows before pruning, lines those after it. Each histogram has
    area 1.

    Parameters
    ----------
    histograms
        One for each cluster to draw.
    title
        Text to add to the figure's title.
    columns
        Number of clusters in a row of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    from matplotlib.figure import Figure

    wide, high = min(columns, len(histograms)), -(-len(histograms) // columns)
    figure = Figure(figsize=(2.3 * wide + 1, 3.6 * high + 0.4), layout="constrained")
    panels = figure.subplots(2 * high, wide, sharex=True, squeeze=False)
    for number, h in enumerate(histograms):
        row, column = divmod(number, columns)
        above, below = panels[2 * row][column], panels[2 * row + 1][column]
        _compare(above, h.edges, h.centroid_before, h.centroid_after)
        _compare(below, h.edges, h.pairs_before, h.pairs_after)
        above.set_title(f"cluster {h.cluster}: {h.n_before:,} to {h.n_after:,}", size=9)
        if column == 0:
            above.set_ylabel("to the centroid")
            below.set_ylabel("of pairs")
    for panel in panels[-2:, len(histograms) - columns * (high - 1) :].ravel():
        panel.set_axis_off()
    panels[0][0].legend(["after", "before"], fontsize=8, loc="upper left")
    figure.suptitle(f"cosines {title}".strip())
    return figure


def _compare(panel: Any, edges: npt.NDArray[np.float64], before: Counts, after: Counts) -> None:
    panel.stairs(_density(after, edges), edges, color="C1", lw=1.4)
    panel.stairs(_density(before, edges), edges, fill=True, color="0.75", zorder=0)
    panel.set_yticks([])


def _density(counts: Counts, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    density: npt.NDArray[np.float64] = counts / max(int(counts.sum()), 1) / np.diff(edges)
    return density


def draw_gallery(pictures: Sequence[Sequence[Any]], names: Sequence[str]) -> Any:
    """Draw named rows of pictures.

    Parameters
    ----------
    pictures
        A sequence of (h, w) or (h, w, 3) uint8 pictures for each name.
    names
        Name of each row.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    from matplotlib.figure import Figure

    columns = max(len(row) for row in pictures)
    figure = Figure(figsize=(0.7 * columns + 1.2, 0.75 * len(pictures)), layout="constrained")
    panels = figure.subplots(len(pictures), columns, squeeze=False)
    for row, name in enumerate(names):
        for column in range(columns):
            panel = panels[row][column]
            panel.set(xticks=[], yticks=[])
            for side in panel.spines.values():
                side.set_visible(False)
            if column < len(pictures[row]):
                panel.imshow(pictures[row][column], cmap="gray")
        panels[row][0].set_ylabel(name, rotation=0, ha="right", va="center", size=8)
    return figure
