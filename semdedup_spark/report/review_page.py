"""The review page: one HTML file on which a person judges removals, one after the other."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timezone
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from semdedup_spark import __version__
from semdedup_spark.answers.audit import Removal, Verdict
from semdedup_spark.answers.overview import MOST_CHARACTERS, Shown
from semdedup_spark.answers.similarities import similarity_text
from semdedup_spark.report.differences import Piece, marked, names, shortened
from semdedup_spark.visible import inline, shown

# Without scripts nothing can be judged, but everything can be read.
_WITHOUT_SCRIPTS = "article { display: block; } .who, .bar { display: none; }"


@dataclass(frozen=True)
class _Side:
    """One of the two rows, as the template shows it.

    Attributes
    ----------
    row
        The row.
    name
        Its id, or as much of it as tells it from the others.
    words
        Its text, or a part of it, with what differs.
    """

    row: Shown
    name: str
    words: list[Piece]


@dataclass(frozen=True)
class _Card:
    """One removal, as the template shows it.

    Attributes
    ----------
    removal
        The removal.
    removed
        The removed row.
    kept
        Its survivor.
    neighbor
        Name of the neighbor, where it is another row than the survivor.
    same
        Says that the texts do not differ, where they do not.
    whole
        Both texts, where only parts of them are shown with what differs.
    columns
        Names of the other columns, and the value of each row.
    """

    removal: Removal
    removed: _Side
    kept: _Side
    neighbor: str
    same: str
    whole: tuple[str, ...]
    columns: list[tuple[str, list[Piece], list[Piece]]]


def render_review(
    removals: Sequence[Removal],
    *,
    known: Sequence[Verdict] = (),
    title: str,
    eps: float,
    output: str,
    removed: bool = True,
) -> str:
    """Render the page.

    Parameters
    ----------
    removals
        What is to be judged, in the order in which it is shown.
    known
        Verdicts that were given already. Those on a pair that is shown are shown as judged, the
        newest of each pair, and can be changed; others are left out. Ids are compared as text.
    title
        Heading of the page.
    eps
        The threshold of the selection.
    output
        Location of the output.
    removed
        Whether these are removals. Otherwise they are rows of the table ``review``, which are kept.

    Returns
    -------
    str
        The HTML text, to be written in UTF-8. It runs one script, its own, and uses no network.

    Notes
    -----
    What is shown is escaped, secrets are masked, and control characters are symbols. Beside it the
    page holds the ids as they are, because the file of verdicts that it saves must name the rows:
    an address with a secret in it can be read in the source of the page.

    The browser keeps what was judged under a key made of ``output`` and the pairs. The same
    removals rendered again, in any order, go on from there. What was judged in that browser counts
    before ``known``.

    The file that the page saves holds every verdict that it shows, those of ``known`` as they were.
    :func:`semdedup_spark.report.verdict_files.read_verdicts` reads it.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_safe
    )
    environment.filters |= {
        "eps": lambda number: f"{number:.6g}",
        "n": lambda count: f"{count:,}",
        "size": lambda n: f"{n / 1e6:.1f} MB" if n > 999_499 else f"{max(n / 1e3, 0.1):.3g} kB",
        "cosine": similarity_text,
        "data_uri": _data_uri,
        "short": shortened,
        "inline": inline,
    }
    style, script = _read("report.css") + _read("review.css"), _read("review.js")
    return environment.from_string(_read("review.html.j2")).render(
        title=title,
        output=output,
        eps=eps,
        removals=removed,
        total=len(removals),
        most=MOST_CHARACTERS,
        cards=map(_card, removals),
        with_texts=any(each.row.text or each.survivor.text for each in removals),
        data=_data(removals, known, output, "Removal" if removed else "Row"),
        # Our own texts need no escaping, and must stay what the hashes say.
        style=Markup(style),
        without_scripts=Markup(_WITHOUT_SCRIPTS),
        script=Markup(script),
        policy=_policy([script], [style, _WITHOUT_SCRIPTS]),
        version=__version__,
    )


def _policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """A Content-Security-Policy that lets nothing run or load but these very texts."""

    def hashes(texts: Iterable[str]) -> str:
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        return " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)

    return (
        f"default-src 'none'; img-src data:; style-src {hashes(styles)}; "
        f"script-src {hashes(scripts)}; base-uri 'none'; form-action 'none'"
    )


def _data(removals: Sequence[Removal], known: Iterable[Verdict], output: str, noun: str) -> Markup:
    """What the script reads: the pairs, and by pair the verdict that is known or ``None``."""
    pairs = [(each.row.id, each.survivor.id) for each in removals]
    by_pair = _newest(known)
    tree = {
        "page": _identity(pairs, output),
        "noun": noun,
        "pairs": pairs,
        "known": [by_pair.get(pair) for pair in pairs],
    }
    text = json.dumps(tree)  # ASCII: U+2028, U+2029 and lone surrogates are escaped already
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _identity(pairs: list[tuple[str, str]], output: str) -> str:
    """A name for these pairs of this output, whatever their order."""
    told = json.dumps([shown(output), sorted(pairs)])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _newest(known: Iterable[Verdict]) -> dict[tuple[str, str], list[str]]:
    """By pair of ids as text: judgement, reviewer and time of its newest verdict."""

    def time(verdict: Verdict) -> str:
        at = verdict.judged_at
        at = at.replace(tzinfo=at.tzinfo or timezone.utc).astimezone(timezone.utc)
        return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    return {
        (str(each.id), str(each.survivor_id)): [each.judgement, each.reviewer, time(each)]
        for each in sorted(known, key=time)
    }


def _card(removal: Removal) -> _Card:
    row, survivor = removal.row, removal.survivor
    # Secrets are masked first: a part of an address no longer shows where one is.
    told = names(*map(inline, (row.id, survivor.id, removal.neighbor_id)))
    left, right = marked(row.text, survivor.text)
    return _Card(
        removal,
        _Side(row, told[0], left),
        _Side(survivor, told[1], right),
        told[2] if removal.neighbor_id != survivor.id else "",
        _same(row.text, survivor.text),
        _whole((row.text, left), (survivor.text, right)),
        list(_columns(dict(row.columns), dict(survivor.columns))),
    )


def _whole(*sides: tuple[str, list[Piece]]) -> tuple[str, ...]:
    """The texts, unless the pieces are all of them."""
    texts = tuple(shown(text) for text, _ in sides)
    pieces = tuple("".join(piece.text for piece in words) for _, words in sides)
    return texts if texts != pieces else ()


def _same(a: str, b: str) -> str:
    if not a or shown(a) != shown(b):
        return ""
    cut = len(a) >= MOST_CHARACTERS
    return f"The first {MOST_CHARACTERS:,} characters are the same." if cut else "The same text."


def _columns(
    row: dict[str, str], survivor: dict[str, str]
) -> Iterator[tuple[str, list[Piece], list[Piece]]]:
    """Pair the columns of both rows by name, what differs marked."""
    for name in row | survivor:
        yield name, *marked(row.get(name, ""), survivor.get(name, ""))


def _safe(value: Any) -> Any:
    """Mask secrets and control characters in a value. The template escapes it afterwards."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return files("semdedup_spark.report").joinpath("templates").joinpath(name).read_text("utf-8")


def _data_uri(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(jpeg).decode())
