"""Mask secrets in texts and settings: by the name of a key, by their form, by declaration.

Everything that a person sees, and everything that is kept beside the results, goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote

from semdedup_spark.reader_options import HARMLESS_OPTIONS
from semdedup_spark.secret_forms import (
    KNOWN_FORMS,
    NAME,
    ORACLE,
    PASSWORD,
    SCHEME,
    USER,
    VALUE,
    is_secret_name,
)

MASK = "***"
# Characters behind a cut that are looked at for the end of a secret.
BEYOND = 500

# Settings that name a place, and may carry credentials in it.
_PLACES = {"path", "table", "metadata", "centroids", "model", "output"}

_SHORTEST_DECLARED = 4
_SHORTEST_IN_WORDS = 8
_MOST_DECLARED = 1000
_SAID_OFTEN = {"true", "false", "none", "null", "auto", "default"}
_declared: dict[str, None] = {}


def masked(text: str) -> str:
    """Mask the secrets in a text.

    Parameters
    ----------
    text
        What is to be shown or kept.

    Returns
    -------
    str
        ``***`` in place of: values that :func:`declare` was given, credentials before a host,
        values behind a key's name that :func:`is_secret_name` (``sig=``, ``password:``), and
        tokens of well-known forms. A masked text stays as it is.
    """
    if _declared:
        text = _any_of(tuple(_declared)).sub(MASK, text)
    return _by_form(text)


def beginning(text: str, n: int) -> str:
    """Take the beginning of a text, masked. What is cut off may be what tells a secret.

    Parameters
    ----------
    text
        At least the first ``n + BEYOND`` characters of a text.
    n
        Number of characters, at most.

    Returns
    -------
    str
        The first n characters of the masked text.
    """
    return masked(text[: n + BEYOND])[:n]


def declare(values: Iterable[str]) -> None:
    """Mask values wherever they occur in a text of this process.

    The newest 1,000 count. Too short ones, and words like ``true``, are left out: they would be
    masked everywhere.

    Parameters
    ----------
    values
        Secrets.
    """
    for value in values:
        for form in _spellings(value):
            usual = form.lower() in _SAID_OFTEN or MASK in form
            if len(form) >= _SHORTEST_DECLARED and not usual:
                _declared.pop(form, None)
                _declared[form] = None
    while len(_declared) > _MOST_DECLARED:
        del _declared[next(iter(_declared))]


def declare_settings(tree: Mapping[str, Any]) -> None:
    """Declare the secrets of a configuration: in options of readers, and in places.

    Parameters
    ----------
    tree
        The configuration as nested plain values, checked or not: options may lie anywhere.
    """
    declare(_secrets(tree))


def masked_tree(tree: Any) -> Any:
    """Mask nested plain values.

    Parameters
    ----------
    tree
        Mappings, lists, texts and other values.

    Returns
    -------
    Any
        A copy: texts masked, and all texts below keys with secret names.
    """
    return _masked_tree(tree, hidden=False)


def masked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Mask settings as the ledger and reports keep them.

    Parameters
    ----------
    settings
        Nested plain values.

    Returns
    -------
    dict
        Options not known to be harmless are masked, and credentials in places. Patterns and names
        of columns are not, so that the settings can be used again.
    """
    return _settings(
        settings, lambda name, value: MASK if _is_hidden_option(name, value) else value
    )


def unmasked(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Put today's secrets back into recorded settings.

    Parameters
    ----------
    recorded
        Settings that were masked when they were recorded.
    now
        The present settings.

    Returns
    -------
    dict
        ``recorded``; a value that equals the masked present one becomes the present one.
    """
    shown = masked_settings(now)
    return {k: now[k] if k in now and shown[k] == v else v for k, v in recorded.items()}


def identifying(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave credentials out of settings that an identity hashes.

    Credentials decide who may read the rows and not which rows they are, so an exchanged key does
    not change a result.

    Parameters
    ----------
    settings
        Nested plain values.

    Returns
    -------
    dict
        Settings without secret options, with credentials in places masked.
    """
    return _settings(
        settings, lambda name, value: None if is_secret_name(name) else _mask_place(value)
    )


def _masked_tree(tree: Any, *, hidden: bool) -> Any:
    if isinstance(tree, Mapping):
        return {
            # A key may be an id. What was declared is left in it: programs look for their keys.
            _by_form(key) if isinstance(key, str) else key: _masked_tree(
                value, hidden=hidden or is_secret_name(str(key))
            )
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [_masked_tree(value, hidden=hidden) for value in tree]
    if not isinstance(tree, str):
        return tree
    return MASK if hidden and tree else masked(tree)


def _secrets(value: Any, name: str = "", *, inside: bool = False) -> Iterator[str]:
    """Values of hidden options, at any depth, and credentials in other texts."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _secrets(each, str(key), inside=inside or key == "options")
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each, name, inside=inside)
    elif inside and value is not None:
        if _is_hidden_option(name, value):
            yield str(value)
    elif isinstance(value, str):
        found: list[str] = []
        _by_form(value, found.append)
        yield from found


def _settings(tree: Mapping[str, Any], option: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Map each option of a reader by ``option``, where ``None`` drops it, and mask places."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if name == "options" and isinstance(value, Mapping):
            left = {str(k): option(str(k), v) for k, v in value.items()}
            found[name] = {k: v for k, v in left.items() if v is not None}
        elif isinstance(value, Mapping):
            found[name] = _settings(value, option)
        else:
            found[name] = _mask_place(value) if name in _PLACES else value
    return found


def _mask_place(value: Any) -> Any:
    return _by_form(value) if isinstance(value, str) else value


def _is_hidden_option(name: str, value: Any) -> bool:
    if is_secret_name(name) or name.lower() not in HARMLESS_OPTIONS:
        return True
    return bool(_mask_place(value) != value)


def _spellings(value: str) -> set[str]:
    """The value as it is written in URLs, JSON, Python, HTML, YAML and shells."""
    written = {json.dumps(value)[1:-1], repr(value)[1:-1], escape(value)}
    written |= {value.replace("'", "''"), value.replace("'", "'\"'\"'")}
    return written | {value, unquote(value), quote(value, safe="")}


@lru_cache(maxsize=4)
def _any_of(values: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern of the values: the longest first, short ones not inside of a word."""
    forms = []
    for value in sorted(values, key=len, reverse=True):
        plain = re.escape(value)
        inside = len(value) >= _SHORTEST_IN_WORDS
        forms.append(plain if inside else rf"(?<!\w){plain}(?!\w)")
    return re.compile("|".join(forms))


def _by_form(text: str, tell: Callable[[str], None] = lambda _: None) -> str:
    """Mask what looks like a secret, and ``tell`` each."""

    def before_host(match: re.Match[str]) -> str:
        tell(match["secret"])
        return f"{match.groupdict().get('scheme', '')}{MASK}@"

    def of_oracle(match: re.Match[str]) -> str:
        tell(match["secret"])
        return match["scheme"] + MASK

    def known(match: re.Match[str]) -> str:
        tell(match[0])
        return MASK

    text = PASSWORD.sub(before_host, text)
    text = USER.sub(before_host, text)
    text = ORACLE.sub(of_oracle, text)
    return KNOWN_FORMS.sub(known, _named_values(text, tell))


def _named_values(text: str, tell: Callable[[str], None]) -> str:
    """Mask the value behind the name of a secret: ``sig=...``, ``"password": "..."``."""
    parts, at = [], 0
    for found in NAME.finditer(text):
        name = found["name"] or found["option"]
        if found.start() < at or not is_secret_name(name):
            continue
        scheme = SCHEME.match(text, found.end()) if "authorization" in name.lower() else None
        value = VALUE.match(text, scheme.end() if scheme else found.end())
        group = value and value.lastgroup
        if value is None or group is None or not value[group]:
            continue
        # What is told is the secret alone, without a scheme such as Bearer.
        tell(value[group].split()[-1] if group == "bare" else value[group])
        parts += [text[at : scheme.start() if scheme else value.start(group)], MASK]
        at = value.end(group)
    return "".join([*parts, text[at:]])
