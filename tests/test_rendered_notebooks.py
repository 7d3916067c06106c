"""The rendered notebooks are those of the text beside them, run to their end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
# By notebook the least number of figures.
FIGURES = {"texts": 1, "lake": 0, "dedup": 3, "train": 3}


def cells(name):
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def outputs(name):
    return [one for cell in cells(name) for one in cell.get("outputs", [])]


@pytest.mark.parametrize("name", FIGURES)
def test_a_rendered_notebook_has_the_cells_of_its_text(name):
    text = jupytext.read(NOTEBOOKS / f"{name}.py").cells
    rendered = [(cell["cell_type"], "".join(cell["source"])) for cell in cells(name)]
    assert rendered == [(cell.cell_type, cell.source) for cell in text]


@pytest.mark.parametrize("name", FIGURES)
def test_every_cell_was_run_and_figures_are_in_it(name):
    runs = [cell["execution_count"] for cell in cells(name) if cell["cell_type"] == "code"]
    assert runs == list(range(1, len(runs) + 1))
    assert not any(one["output_type"] == "error" for one in outputs(name))
    pictures = [one for one in outputs(name) if "image/png" in one.get("data", {})]
    assert len(pictures) >= FIGURES[name]


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_rendered_tells_where_it_was_run(name):
    told = json.dumps(
        [
            {**one, "data": {k: v for k, v in one.get("data", {}).items() if "png" not in k}}
            for one in outputs(name)
        ]
    )
    for place in ("/tmp", "/work", "/root", "/home", "Traceback"):
        assert place not in told, place
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 2_000_000
