"""Figures of the studies, from the CSV that they wrote.

``python benchmarks/paper/figures.py``
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import matplotlib.pyplot as plt
from tables import OUT

Rows = list[dict[str, str]]

# What the paper found on C4 (table A2): kept percent, eta.
_PAPER_ETA = ((63, 0.946), (40, 0.890))
_METHOD_STYLES = {"all rows": ":", "SemDeDup": "-", "random": "--"}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "semdedup",  # the same numbers give the same file
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
}


def rows_of(file: Path) -> Rows:
    """The rows of a CSV; none where it is missing."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def draw_encoders(axes: Any, results: Path) -> bool:
    """What each eps keeps by each encoder, and where random pairs begin."""
    curve = rows_of(results / "robust_encoder" / "curve.csv")
    background = rows_of(results / "robust_encoder" / "thresholds.csv")
    for line in background:
        name = line["encoder"]
        drawn = axes.plot(
            [float(row["eps"]) for row in curve], [100 * float(row[name]) for row in curve]
        )
        color = drawn[0].get_color()
        axes.lines[-1].set_label(name)
        axes.axvline(1 - float(line["p99.9"]), color=color, ls=":", lw=1)
    axes.set(xscale="log", xlabel="eps", ylabel="kept, %", ylim=(0, 102))
    axes.set_title("A threshold belongs to a model (dotted: 1 in 1,000 random pairs is nearer)")
    return bool(background)


def draw_eta(axes: Any, results: Path) -> bool:
    """Eta of each way, beside what the paper found within clusters."""
    lines = [row for row in rows_of(results / "efficiency" / "eta.csv") if row["way"] != "eps"]
    for row in lines:
        kept = [name for name in row if name != "way"]
        percents = [int(name.split()[0]) for name in kept]
        axes.plot(percents, [float(row[name]) for name in kept], marker="o", ms=3, label=row["way"])
    axes.plot(*zip(*_PAPER_ETA, strict=True), "k*", label="paper, on C4, cluster")
    axes.invert_xaxis()
    axes.set(xlabel="kept, % (fewer to the right)", ylabel="share of duplicates found")
    axes.set_title("What each way finds of what all pairs would find")
    return bool(lines)


def draw_growth(axes: Any, results: Path) -> bool:
    """Share removed by size from one run, and of smaller corpora by themselves."""
    curve = rows_of(results / "growth" / "curve.csv")
    check = rows_of(results / "growth" / "brute_force.csv")
    for name in [name for name in (curve[0] if curve else {}) if name != "rows"]:
        drawn = axes.plot(
            [int(row["rows"]) for row in curve], [100 * float(row[name]) for row in curve]
        )
        drawn[0].set_label(f"one run, {name}")
        alone = [row for row in check if f"eps {float(row['eps']):.4f}" == name]
        axes.plot(
            [int(row["rows"]) for row in alone],
            [100 * float(row["by itself, mean"]) for row in alone],
            "o",
            color=drawn[0].get_color(),
            ms=4,
        )
    axes.set(xscale="log", xlabel="rows of the corpus", ylabel="removed, %")
    axes.set_title("Duplicates grow with the corpus (points: all pairs of smaller ones)")
    return bool(curve)


def draw_language(axes: Any, results: Path, name: str, budget: str, of: str) -> bool:
    """Perplexity by what is kept."""
    file = results / "language" / f"{name}.csv"
    lines = [row for row in rows_of(file) if row["budget"] == budget]
    for row in lines:
        percents, means, deviations = _spreads(row)
        if row["method"] == "all rows":
            axes.axhline(means[0], color="k", lw=1, label="all rows")
        else:
            axes.errorbar(percents, means, deviations, marker="o", ms=3, label=row["method"])
    axes.invert_xaxis()
    axes.set(xlabel="kept, % (fewer to the right)", ylabel="perplexity a token")
    axes.set_title(f"{of} held-out package")
    return bool(lines)


def draw_images(axes: Any, results: Path, name: str) -> bool:
    """Accuracy by what is kept at equal steps: a colour for each model, a style for each method.
    The orders are left to the table.
    """
    lines = rows_of(results / "images" / f"accuracy_{name}.csv")
    models = [*dict.fromkeys(row["model"] for row in lines)]
    drawn = [row for row in lines if row["budget"] == "steps" and row["method"] in _METHOD_STYLES]
    for row in drawn:
        percents, means, deviations = _spreads(row)
        style: Any = {
            "color": f"C{models.index(row['model'])}",
            "ls": _METHOD_STYLES[row["method"]],
        }
        label = f"{row['model']}, {row['method']}"
        if row["method"] == "all rows":
            axes.axhline(means[0], lw=1, label=label, **style)
        else:
            axes.errorbar(percents, means, deviations, marker="o", ms=3, label=label, **style)
    least, most = axes.get_ylim()
    axes.set_ylim(least - 0.4 * (most - least), most)  # room for the names
    axes.invert_xaxis()
    axes.set(xlabel="kept, % (fewer to the right)", ylabel="accuracy, %")
    axes.set_title(f"CIFAR-10, {name}, equal steps")
    return bool(drawn)


def _spreads(row: dict[str, str]) -> tuple[list[int], list[float], list[float]]:
    """Kept percents of a row of ``spread_table``, with their means and deviations."""
    told = {name: row[name].split(" ± ") for name in row if "%" in name and row[name]}
    means, deviations = ([float(each[place]) for each in told.values()] for place in (0, 1))
    return [int(name.split()[0]) for name in told], means, deviations


FIGURES: dict[str, Callable[[Any, Path], bool]] = {
    "encoders": draw_encoders,
    "efficiency": draw_eta,
    "growth": draw_growth,
    "language": partial(
        draw_language,
        name="n-gram-summary",
        budget="epochs",
        of="A Kneser-Ney 3-gram on all texts of each",
    ),
    "language_once": partial(
        draw_language,
        name="n-gram-once",
        budget="epochs",
        of="A Kneser-Ney 3-gram on one text of each",
    ),
    "language_transformer": partial(
        draw_language,
        name="transformer-once",
        budget="steps",
        of="A transformer, equal steps, on one text of each",
    ),
    "images_natural": partial(draw_images, name="natural"),
    "images_planted": partial(draw_images, name="planted"),
}


@click.command(help=__doc__)
@click.option("--results", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option("--to", type=click.Path(path_type=Path), help="Folder; none: that of the results.")
def main(results: Path, to: Path | None) -> None:
    folder = to or results
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        with mpl.rc_context(_STYLE):
            figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
            if draw(axes, results):
                axes.legend(frameon=False)
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                print(f"{folder / name}.svg")
            plt.close(figure)


if __name__ == "__main__":
    main()
