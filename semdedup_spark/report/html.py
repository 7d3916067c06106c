"""The report, an HTML page in one file that needs neither network nor scripts."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from semdedup_spark import __version__
from semdedup_spark.pipeline.queries.report_result import Overview
from semdedup_spark.report.differences import ending, marked, shortened
from semdedup_spark.report.figures import (
    as_svg,
    draw_counts,
    draw_kept,
    draw_similarities,
    new_figure,
    styled,
)
from semdedup_spark.visible import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def render_report(overview: Overview) -> str:
    """Render the page.

    Parameters
    ----------
    overview
        What the page shows. The page escapes its values, masks secrets, and shows control
        characters as symbols.

    Returns
    -------
    str
        The HTML text, to be written in UTF-8.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_safe
    )
    environment.filters |= {
        "percent": lambda share: f"{100 * share:.1f} %",
        "n": lambda count: f"{count:,}",
        "eps": lambda eps: f"{eps:.6g}",
        "picture": _data_uri,
        "short": shortened,
        "ending": ending,
    }
    template = environment.from_string(_read("report.html.j2"))
    return template.render(
        o=overview,
        style=Markup(_read("report.css")),  # our own text, so it needs no escaping
        figures=_figures(overview),
        compared=marked,
        scored=max(overview.counts["kept"] + overview.counts["removed"], 1),
        version=__version__,
        made=max((line.started_at for line in overview.lineage), default=None),
    )


def _safe(value: Any) -> Any:
    """Mask secrets and control characters in a value. The template escapes it afterwards."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return files("semdedup_spark.report").joinpath("templates").joinpath(name).read_text("utf-8")


def _data_uri(picture: bytes) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(picture).decode())


def _figures(overview: Overview) -> dict[str, Markup]:
    """Draw inline SVG by name. It is drawn from numbers alone, so it needs no escaping."""
    drawings: dict[str, Callable[[Axes], Any]] = {
        "kept": lambda axes: draw_kept(axes, overview.tuning),
        "similarities": lambda axes: draw_similarities(axes, overview.tuning),
        "sizes": lambda axes: draw_counts(axes, overview.cluster_sizes, "rows in the cluster"),
        "removed": lambda axes: draw_counts(
            axes, overview.removed_per_cluster, "rows removed from the cluster"
        ),
    }
    drawn = {}
    with styled():
        for name, draw in drawings.items():
            figure, (axes,) = new_figure()
            draw(axes)
            drawn[name] = Markup(as_svg(figure))
    return drawn
