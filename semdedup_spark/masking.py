"""Secrets in texts and settings, hidden: by the name of a key, by their form, by what was declared.

Everything that a person sees, and everything that is kept beside the results, goes through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"

# Parts of a key's name, without its separators: fs.s3a.secret.key, sfPassword, X-Amz-Signature.
_IN_NAME = re.compile(
    r"password|passwd|passphrase|secret|credential|signature|authorization"
    r"|(?:access|account|api|auth|private|shared|storage|encryption|sas|subscription|master)key"
    r"|connectionstring|(?:sas|session|access|refresh|security|bearer|auth|id)token"
)
_WORDS_IN_NAME = {"token", "sas", "sig", "pwd", "pw", "pass", "auth"}
_NOT_SECRET = {"auth": ("type", "provider", "mechanism", "method")}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Options of Spark's readers that hold no secret. Any other option may hold one.
_HARMLESS_OPTIONS = frozenset(
    [
        *("allowbackslashescapinganycharacter", "allowcomments", "allownonnumericnumbers"),
        *("allownumericleadingzeros", "allowsinglequotes", "allowunquotedcontrolchars"),
        *("allowunquotedfieldnames", "badrecordspath", "basepath", "charset"),
        *("chartoescapequoteescaping", "columnnameofcorruptrecord", "comment", "compression"),
        *("dateformat", "datetimerebasemode", "delimiter", "dropfieldifallnull", "emptyvalue"),
        *("enabledatetimeparsingfallback", "encoding", "enforceschema", "escape", "escapequotes"),
        *("header", "ignorecorruptfiles", "ignoreleadingwhitespace", "ignoremissingfiles"),
        *("ignoretrailingwhitespace", "inferschema", "int96rebasemode", "linesep", "locale"),
        *("maxcharspercolumn", "maxcolumns", "maxnestingdepth", "maxnumlen", "maxstringlen"),
        *("mergeschema", "mode", "modifiedafter", "modifiedbefore", "multiline", "nanvalue"),
        *("negativeinf", "nullvalue", "pathglobfilter", "positiveinf", "preferdate"),
        *("prefersdecimal", "primitivesasstring", "quote", "quoteall", "recursivefilelookup"),
        *("rescueddatacolumn", "samplingratio", "sep", "singlevariantcolumn", "timeformat"),
        *("timestampformat", "timestampntzformat", "timezone", "unescapedquotehandling"),
        *("versionasof", "wholetext"),
        *("fs.s3a.endpoint", "fs.s3a.endpoint.region", "fs.s3a.path.style.access"),
    ]
)
# Settings that name a place, and may carry credentials in it.
_PLACES = {"path", "table", "metadata", "centroids", "model", "output"}
_SOURCES = {"source", "reference"}

# A user and a password before a host, not a host and a port. The secret keys of S3 hold slashes.
_PASSWORD = re.compile(
    r"(?<=://)[^\s/@:'\"`<>]*:(?!\d+(?:[/\s;?,&]|$))(?P<secret>[^\s/?#'\"`<>]*|[^\s@'\"`<>]+)"
    r"@(?=[\w\[.*-])"
)
# Of other schemes it is no secret: abfss://container@account.
_USER = re.compile(
    r"(?i)(?P<scheme>\b(?:https?|ftps?|s3[an]?|gs|git|ssh)://)(?P<secret>[^\s/@:'\"`<>]+)@(?=[\w\[.-])"
)
_ORACLE = re.compile(r"(?i)(?P<scheme>\bjdbc:oracle:\w+:)[^\s@/]+/(?P<secret>[^\s@]+)(?=@)")
_NAME = re.compile(
    r"(?<![\w.\-])(?P<name>[A-Za-z][\w.\-]*)\\?[\"']?[ \t]*(?:->|=>|=|:(?!//))[ \t]*"
)
_VALUE = re.compile(
    r"\\\"(?P<escaped>[^\"\\]*)\\\"|\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'"
    r"|(?P<bare>(?:(?:Bearer|Basic|Digest)\s+)?[^\s;&,)}\]\"'<>`]+)"
)
_KNOWN_FORMS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bhf_[A-Za-z0-9]{30,}|\bdapi[0-9a-f]{32}\b"
    r"|\bxox[abprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\bAIza[\w-]{35}\b|\bya29\.[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=Basic )[\w+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_SHORTEST_DECLARED = 4
_SHORTEST_IN_WORDS = 8
_MOST_DECLARED = 1000
_SAID_OFTEN = {"true", "false", "none", "null", "auto", "default"}
_declared: dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Whether the value of a key so named is a secret: ``fs.s3a.secret.key``, ``sasToken``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if _IN_NAME.search("".join(words)):
        return True
    for place, word in enumerate(words):
        if word in _WORDS_IN_NAME:
            return not set(words[place + 1 :]) & set(_NOT_SECRET.get(word, ()))
    return False


def masked(text: str) -> str:
    """The text without secrets.

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


def declare(values: Iterable[str]) -> None:
    """Mask these values wherever they occur in a text of this process, the newest 1,000 of them.

    Too short ones, and words like ``true``, are left out: they would be masked everywhere.
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
    """Declare what a configuration, checked or not, holds of secrets: in options, in places."""
    found: list[str] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            if name in _SOURCES and isinstance(value.get("options"), Mapping):
                options = value["options"].items()
                found += [str(v) for k, v in options if _is_hidden_option(str(k), v)]
            declare_settings(value)
        elif isinstance(value, str):
            _by_form(value, found.append)
    declare(found)


def masked_tree(tree: Any) -> Any:
    """A copy of nested plain values: texts masked, and the values of keys with secret names."""
    if isinstance(tree, Mapping):
        return {
            key: MASK
            if isinstance(value, str) and value and is_secret_name(str(key))
            else masked_tree(value)
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return [masked_tree(value) for value in tree]
    return masked(tree) if isinstance(tree, str) else tree


def masked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the ledger and reports keep them. Options that are not known to be harmless are
    masked, and places; patterns and names of columns are not, so that settings can be used again.
    """
    return _settings(
        settings, lambda name, value: MASK if _is_hidden_option(name, value) else value
    )


def unmasked(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that were masked when they were recorded, with the secrets that they have ``now``.
    What differs in another way stays as it was recorded.
    """
    shown = masked_settings(now)
    return {k: now[k] if k in now and shown[k] == v else v for k, v in recorded.items()}


def identifying(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as an identity may hash them: without credentials, which decide who may read the
    rows and not which rows they are. A key that was exchanged makes no other result.
    """
    return _settings(
        settings, lambda name, value: None if is_secret_name(name) else _mask_place(value)
    )


def _settings(tree: Mapping[str, Any], option: Callable[[str, Any], Any]) -> dict[str, Any]:
    """``option``: of a reader's option what is left; ``None`` for nothing."""
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
    if is_secret_name(name) or name.lower() not in _HARMLESS_OPTIONS:
        return True
    return bool(_mask_place(value) != value)


def _spellings(value: str) -> set[str]:
    """As the value stands in URLs, in JSON, in Python and in HTML."""
    written = {json.dumps(value)[1:-1], repr(value)[1:-1], escape(value)}
    return written | {value, unquote(value), quote(value, safe="")}


@lru_cache(maxsize=4)
def _any_of(values: tuple[str, ...]) -> re.Pattern[str]:
    """The longest first; short ones not inside of a word."""
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

    text = _PASSWORD.sub(before_host, text)
    text = _USER.sub(before_host, text)
    text = _ORACLE.sub(of_oracle, text)
    return _KNOWN_FORMS.sub(known, _named_values(text, tell))


def _named_values(text: str, tell: Callable[[str], None]) -> str:
    """Mask what stands behind the name of a secret: ``sig=...``, ``"password": "..."``."""
    parts, at = [], 0
    for name in _NAME.finditer(text):
        if name.start() < at or not is_secret_name(name["name"]):
            continue
        value = _VALUE.match(text, name.end())
        group = value and value.lastgroup
        if value is None or group is None or not value[group]:
            continue
        tell(value[group])
        parts += [text[at : value.start(group)], MASK]
        at = value.end(group)
    return "".join([*parts, text[at:]])
