"""The only ways to a terminal: what is data is shown without secrets, controls, markup and emoji.

Printers hand texts of others to :func:`plain` or :func:`print_line`, commands to :func:`say`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from semdedup_spark.visible import inline, shown, shown_tree

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def open_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console that takes no text for markup, an emoji or something to color."""
    from rich.console import Console

    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def plain(text: object) -> Text:
    """A cell or a title: nothing in it is markup. Line ends stay."""
    from rich.text import Text

    return Text(shown(text))


def cell(value: object) -> Text:
    """As :func:`plain`, in one line: an id, a name, a path."""
    from rich.text import Text

    return Text(inline(value))


def print_line(console: Console, text: str) -> None:
    """A line as it is, however long, on any console."""
    console.print(plain(text), soft_wrap=True)


def say(text: str, *, err: bool = False) -> None:
    """A line of a command, on standard output or error."""
    click.echo(shown(text), err=err)


def say_json(tree: Any) -> None:
    """Plain values as JSON, on standard output."""
    click.echo(as_json(tree))


def as_json(tree: Any, **options: Any) -> str:
    """JSON in ASCII, secrets masked, in which no control character stands as it is."""
    return json.dumps(shown_tree(tree), **{"indent": 2, **options}).replace("\x7f", "\\u007f")
