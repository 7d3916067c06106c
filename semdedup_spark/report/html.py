"""The report, an HTML page in one file that needs neither network nor scripts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from semdedup_spark import __version__
from semdedup_spark.answers.overview import Group, Overview
from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.report.differences import marked, names, shortened
from semdedup_spark.report.figures import (
    as_svg,
    draw_counts,
    draw_kept,
    draw_similarities,
    new_figure,
    styled,
)
from semdedup_spark.report.files import replace_file
from semdedup_spark.report.terminal import counted
from semdedup_spark.report.verdict import flat_stretch, from_horizon, uncounted, uneven, verdict
from semdedup_spark.visible import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Of the largest groups, so many are shown whole.
_LARGEST = 3


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
        "rows": lambda count: counted(count, "row"),
        "eps": lambda eps: f"{eps:.6g}",
        "cosine": similarity_text,
        "data_uri": _data_uri,
        "short": shortened,
        "bytes": _in_bytes,
        "few": lambda rows, most: list(rows)[:most],
    }
    template = environment.from_string(_read("report.html.j2"))
    overview = _in_order(overview)
    below, _ = from_horizon(overview.tuning)
    return template.render(
        o=overview,
        groups=_once([*overview.largest[:_LARGEST], *overview.drawn]),
        verdict=verdict(overview.tuning),
        below=below,
        uneven=uneven(overview.tuning),
        uncounted=uncounted(overview.tuning.overrides) if overview.tuning.overrides else "",
        flat=flat_stretch(overview.tuning.curve, overview.tuning.selected) is not None,
        names=_names,
        style=Markup(_read("report.css")),  # our own text, so it needs no escaping
        figures=_figures(overview),
        compared=marked,
        scored=max(overview.counts["kept"] + overview.counts["removed"], 1),
        version=__version__,
        made=max((line.started_at for line in overview.lineage), default=None),
    )


def save_report(overview: Overview, path: Path) -> str:
    """Render the page into a file, completely or not at all.

    Parameters
    ----------
    overview
        What the page shows.
    path
        The file.

    Returns
    -------
    str
        The page.
    """
    page = render_report(overview)
    replace_file(path, page.encode("utf-8", "replace"))
    return page


def _in_order(overview: Overview) -> Overview:
    """Sort the pairs by similarity, the least similar first."""
    return replace(
        overview,
        edges=sorted(overview.edges, key=lambda pair: pair.similarity),
        uncovered=sorted(overview.uncovered, key=lambda pair: pair.survivor_similarity or 0.0),
    )


def _once(groups: Iterable[Group]) -> list[Group]:
    """Leave out groups that come a second time: one of the largest may have been drawn too."""
    return list({group.survivor.id: group for group in reversed(list(groups))}.values())[::-1]


def _names(*ids: str) -> list[str]:
    """Name rows. Secrets are masked first: a part of an address no longer shows where one is."""
    return names(*map(shown, ids))


def _in_bytes(size: int) -> str:
    """Write a size with three digits, in units of 1,000."""
    if size < 1000:
        return f"{size} bytes"
    value, unit = (size / 1e3, "kB") if size < 999_500 else (size / 1e6, "MB")
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:,.0f} {unit}"


def _safe(value: Any) -> Any:
    """Mask secrets and control characters in a value. The template escapes it afterwards."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return files("semdedup_spark.report").joinpath("templates").joinpath(name).read_text("utf-8")


def _data_uri(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(jpeg).decode())


def _figures(overview: Overview) -> dict[str, Markup]:
    """Draw inline SVG by name. It is drawn from numbers alone, so it needs no escaping."""
    drawings: dict[str, Callable[[Axes], Any]] = {
        "kept": lambda axes: draw_kept(axes, overview.tuning),
        "similarities": lambda axes: draw_similarities(axes, overview.tuning),
    }
    if len(overview.cluster_sizes) > 1:
        drawings |= {
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
