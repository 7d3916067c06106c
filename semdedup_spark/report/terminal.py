"""The only functions that write to a terminal.

They mask secrets in data, show control characters as symbols, and take no data for markup or emoji.
Printers pass text that others wrote to :func:`plain` or :func:`print_line`. Commands use
:func:`say`.
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
    """Open a console that interprets no text as markup or emoji, and highlights nothing.

    Parameters
    ----------
    stderr
        Write to standard error instead of standard output.
    width
        Columns of the console. By default rich detects them.

    Returns
    -------
    Console
        The console.
    """
    from rich.console import Console

    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def plain(text: object) -> Text:
    """Make a cell or a title in which nothing is markup.

    Parameters
    ----------
    text
        Any value; its ``str`` is shown.

    Returns
    -------
    Text
        The text, secrets masked and control characters as symbols. Line ends stay.
    """
    from rich.text import Text

    return Text(shown(text))


def cell(value: object) -> Text:
    """Make a cell of one line, for an id, a name or a path.

    Parameters
    ----------
    value
        Any value; its ``str`` is shown.

    Returns
    -------
    Text
        As from :func:`plain`, but line ends become symbols too.
    """
    from rich.text import Text

    return Text(inline(value))


def print_line(console: Console, text: str) -> None:
    """Print a line without wrapping it, however long it is.

    Parameters
    ----------
    console
        Any console.
    text
        The line. Secrets are masked, control characters become symbols.
    """
    console.print(plain(text), soft_wrap=True)


def counted(n: int, noun: str) -> str:
    """Write a number of things, for example ``1 row`` or ``2,000 rows``.

    Parameters
    ----------
    n
        How many.
    noun
        One of them. Several have an s more.

    Returns
    -------
    str
        The number and the noun.
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def say(text: str, *, err: bool = False) -> None:
    """Print a line of a command.

    Parameters
    ----------
    text
        The line. Secrets are masked, control characters become symbols.
    err
        Write to standard error instead of standard output.
    """
    click.echo(shown(text), err=err)


def say_json(tree: Any) -> None:
    """Print plain values as JSON on standard output.

    Parameters
    ----------
    tree
        Dictionaries, lists, texts, numbers, booleans and None. Secrets are masked.
    """
    click.echo(as_json(tree))


def as_json(tree: Any, **options: Any) -> str:
    """Format plain values as JSON in ASCII, with secrets masked and control characters escaped.

    Parameters
    ----------
    tree
        Dictionaries, lists, texts, numbers, booleans and None.
    **options
        Options of ``json.dumps``. ``indent`` is 2 by default.

    Returns
    -------
    str
        The JSON text.
    """
    return json.dumps(shown_tree(tree), **{"indent": 2, **options}).replace("\x7f", "\\u007f")
