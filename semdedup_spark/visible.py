"""Make foreign texts safe to show: secrets masked, nothing that controls a terminal."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import fields
from typing import Any, TypeVar

from semdedup_spark.masking import masked, masked_tree

_Class = TypeVar("_Class", bound=type[Any])

_HIDDEN = "\ufffd"
# Blank or joining characters that Unicode counts as letters or marks.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_CATEGORIES = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")
# Emoji and several scripts are spelled with joiners: there they do not mislead.
_JOINERS = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def visible(text: str, *, lines: bool = True) -> str:
    r"""Replace invisible characters, and those that move others, by symbols.

    Parameters
    ----------
    text
        Any text: an id, a path, a value, a message.
    lines
        Leave line ends and tabs as they are. Otherwise they become symbols too.

    Returns
    -------
    str
        C0 controls as ``␀`` to ``␟``, DEL as ``␡``, other controls, lone surrogates and what is no
        character as ``\ufffd``, characters that only format (zero width, direction) as
        ``<U+202E>``.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = {match.start() for match in _JOINERS.finditer(text)}
    left = "\n\t" if lines else ""
    return "".join(
        character if place in kept or character in left else _symbol(character)
        for place, character in enumerate(text)
    )


def _symbol(character: str) -> str:
    category = unicodedata.category(character)
    if category not in _CATEGORIES and character not in _BLANK:
        return character
    code = ord(character)
    if code < 32 or code == 127:
        return chr(0x2421 if code == 127 else 0x2400 + code)
    return _HIDDEN if category in ("Cc", "Cs", "Cn") else f"<U+{code:04X}>"


def shown(text: object) -> str:
    """Make a text safe to show; line ends stay.

    Parameters
    ----------
    text
        Anything; its ``str`` is shown.

    Returns
    -------
    str
        Secrets masked, control characters as symbols.
    """
    return visible(masked(str(text)))


def inline(value: object) -> str:
    """Make a text safe to show inside a sentence or a cell: an id, a path, a name.

    Parameters
    ----------
    value
        Anything; its ``str`` is shown.

    Returns
    -------
    str
        As :func:`shown` gives it, in one line.
    """
    return visible(masked(str(value)), lines=False)


def shown_tree(tree: Any) -> Any:
    """Mask secrets in plain values for JSON, which itself escapes control characters.

    Parameters
    ----------
    tree
        Nested plain values.

    Returns
    -------
    Any
        A masked copy.
    """
    return masked_tree(tree)


def masked_repr(cls: _Class) -> _Class:
    """Decorate a dataclass that holds places, settings or names of tables: its ``repr`` masks the
    secrets in them.

    Parameters
    ----------
    cls
        The dataclass.

    Returns
    -------
    type
        The same class.
    """

    def told(self: Any) -> str:
        values = ((f.name, getattr(self, f.name)) for f in fields(self) if f.repr)
        return f"{type(self).__qualname__}({', '.join(f'{n}={_masked(v)}' for n, v in values)})"

    setattr(cls, "__repr__", told)  # noqa: B010  mypy knows no other __repr__ of a class
    return cls


def _masked(value: Any) -> str:
    # A text is masked before it is quoted: quotes and backslashes may be part of a secret.
    return repr(masked(value)) if isinstance(value, str) else masked(repr(value))
