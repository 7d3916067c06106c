"""The sweep's table and figures, and E1: drawn from any results, also few."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from semdedup_spark.experiments.cells import METHODS, SUBSET
from semdedup_spark.experiments.figures import draw_steps, draw_sweep
from semdedup_spark.experiments.results import Result, summarise
from semdedup_spark.experiments.table import print_sweep
from semdedup_spark.kernels.statistics.histograms import cluster_histograms
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.report.cluster_figures import draw_histograms


def results(methods, ratios=(10, 25), seeds=(0, 1)):
    return [
        Result(m, 0 if m == SUBSET else k, r, seed, 10 * r, 0.5, steps, 0.4 + r / 200, 1.0)
        for m in (SUBSET, *methods)
        for k in (10, 20)
        if m != SUBSET or k == 10
        for r in (*ratios, *([100] if m == SUBSET else []))
        for seed in seeds
        for steps in (5, 10)
    ]


@pytest.mark.parametrize("methods", [METHODS, ["cossim/diverse"]])
def test_both_figures_show_something_for_any_methods(tmp_path, methods):
    summary = summarise(results(methods))
    draw_sweep(summary, tmp_path / "a.png", steps=10, at_ratio=25, at_clusters=20)
    draw_steps(summary, tmp_path / "b.png", at_clusters=20)
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.shape[1] > 500
        assert (pixels < 200).mean() > 0.005


def test_a_sweep_that_keeps_everything_is_drawn_too(tmp_path):
    summary = [line for line in summarise(results(["semdedup"], (100,))) if line.ratio == 100]
    draw_sweep(summary, tmp_path / "a.png", steps=10, at_ratio=100, at_clusters=20)
    draw_steps(summary, tmp_path / "b.png", at_clusters=20)
    assert (tmp_path / "a.png").stat().st_size
    assert (tmp_path / "b.png").stat().st_size


def test_the_table_names_every_method_with_its_gain_over_the_subset(capsys):
    rows = [r for r in results(["semdedup"]) if r.steps == 10]
    print_sweep(summarise(rows))
    shown = capsys.readouterr().out
    assert "semdedup" in shown
    assert "+0.00" in shown
    assert "50.0 %" in shown  # copies kept


def test_e1_has_two_panels_a_cluster():
    X = unit_rows(np.random.default_rng(0).standard_normal((60, 4))).X
    labels = (np.arange(60) % 3).astype(np.int32)
    similarity = np.linspace(0, 1, 60).astype(np.float32)
    found = cluster_histograms(X, labels, similarity, np.arange(60) % 2 == 0)
    figure = draw_histograms(found)
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "cluster 0: 20 to 10"
