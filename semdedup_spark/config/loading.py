"""Load a configuration from YAML, check it, and derive its identity."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from pydantic import ValidationError

from semdedup_spark.config.job import JobConfig
from semdedup_spark.config.problems import explain_problems
from semdedup_spark.config.strict import StrictModel
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.masking import MASK, declare_settings, masked_tree
from semdedup_spark.paths import local, open_stream

Stage = TypeVar("Stage", bound=StrictModel)

# What yaml's messages quote is a sign of its grammar, or a word of the file.
_QUOTED = re.compile(
    r"(?:,? but found|:)?\s*(?:'(?P<sign>\\t|[^\w\s]|<[a-z ]+>)'|['\"].*)", re.DOTALL
)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> JobConfig:
    """Read a YAML job file and apply overrides.

    Parameters
    ----------
    path
        Path of the job file, in UTF-8. With a scheme, such as ``s3:``, it is read from there.
    overrides
        ``key.path=value`` settings. Values are YAML.

    Returns
    -------
    JobConfig
        The checked configuration.

    Raises
    ------
    ConfigError
        If the file is unreadable, or a key is wrong. Names every wrong key, what it must be, and
        what was got.

    Notes
    -----
    ``OSError`` where an object storage does not answer: another time the same file may be read.
    """
    text = _read(str(path))
    try:
        tree = yaml.safe_load(text) or {}
    except Exception as error:  # of tagged values and dates come errors of many types
        raise ConfigError(
            f"{path} must be valid YAML. Got: {_where(error)}.",
            hint="a text with signs of YAML, such as * ! % @ or a colon, must stand in quotes.",
        ) from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must be a mapping of keys. Got a {type(tree).__name__}.")
    return parse_config(with_overrides(tree, overrides))


def _read(path: str) -> str:
    try:
        with open_stream(path, option="the job file") as stream:
            text: str = stream.read().decode()
    except (OSError, UnicodeDecodeError, SourceError) as error:
        if local(path) is None and type(error) is OSError:
            raise  # the storage did not answer, or denied it
        raise ConfigError(
            f"--config must be a readable YAML file in UTF-8. Got {path!r}: {error}.",
            hint="`semdedup init DATA` writes a first one.",
        ) from error
    return text


def _where(error: Exception) -> str:
    """The YAML problem and its position, without a word of the file: it may be a secret."""
    if not isinstance(error, yaml.YAMLError):
        return "a value that its type does not have, such as a date in a month 13"
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", None) or type(error).__name__)
    problem = _QUOTED.sub(lambda found: found[0] if found["sign"] else "", said)
    return problem if mark is None else f"{problem}, line {mark.line + 1}, column {mark.column + 1}"


def with_overrides(tree: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Copy a configuration tree and apply overrides in their order.

    An override that is no ``key.path=value`` raises :class:`ConfigError`.

    Parameters
    ----------
    tree
        Nested mappings of a job file. Left unchanged.
    overrides
        ``key.path=value`` settings. Values are YAML.

    Returns
    -------
    dict of str to object
        The changed copy.
    """
    changed = copy.deepcopy(dict(tree))
    for override in overrides:
        _apply(changed, override)
    return changed


def parse_config(tree: Mapping[str, Any]) -> JobConfig:
    """Validate a nested mapping. This process masks its secrets in all later output.

    Parameters
    ----------
    tree
        Nested mappings of a job file.

    Returns
    -------
    JobConfig
        The checked configuration.

    Raises
    ------
    ConfigError
        Names every wrong key, what it must be, and what was got.

    Examples
    --------
    >>> from semdedup_spark import parse_config
    >>> source = {"kind": "text", "format": "jsonl", "path": "a.jsonl", "id": "key"}
    >>> config = parse_config({"output": "out", "source": {**source, "content": "text"}})
    >>> config.select.eps
    0.05
    """
    declare_settings(tree)
    try:
        return JobConfig.model_validate(dict(tree))
    except ValidationError as error:
        messages, hints = explain_problems(error, JobConfig)
        raise ConfigError("\n".join(messages), hint=" ".join(hints)) from error


def checked_stage(model: type[Stage], **values: Any) -> Stage:
    """Validate one stage's settings, given by name as in a job file.

    Parameters
    ----------
    model
        Configuration model of the stage.
    **values
        Settings by name. NumPy scalars count as numbers.

    Returns
    -------
    Stage
        An instance of ``model``.

    Raises
    ------
    ConfigError
        A ``ValueError``, with the same message as for a job file.
    """
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        messages, hints = explain_problems(error, model)
        raise ConfigError("\n".join(messages), hint=" ".join(hints)) from error


def canonical_json(tree: Any) -> str:
    """Serialise settings to one text, whatever the order of their keys.

    Parameters
    ----------
    tree
        Settings: models, mappings, lists and plain values.

    Returns
    -------
    str
        JSON with sorted keys.
    """
    return json.dumps(tree, sort_keys=True, default=lambda model: model.model_dump())


def plain_settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Convert models inside settings to plain dicts and lists.

    Parameters
    ----------
    tree
        Settings by name.

    Returns
    -------
    dict of str to object
        What :func:`canonical_json` writes, parsed again.
    """
    plain: dict[str, Any] = json.loads(canonical_json(tree))
    return plain


def fingerprint(tree: Any) -> str:
    """Hash settings.

    Parameters
    ----------
    tree
        Settings: models, mappings, lists and plain values.

    Returns
    -------
    str
        SHA-256 of :func:`canonical_json`, 64 hexadecimal digits.
    """
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    hidden = "options" in override  # one of them may be a secret
    if not separator or not key:
        got = MASK if hidden else repr(override)
        raise ConfigError(f"--set must be key.path=value. Got {got}.", hint="--set select.eps=0.1")
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {parent} holds a value, not keys.")
        node = child
    try:
        node[leaf] = yaml.safe_load(value)
    except Exception:  # as in load_config
        got = MASK if hidden else masked_tree({leaf: value})[leaf]
        raise ConfigError(f"--set {key} must have a YAML value. Got {got!r}.") from None
    if leaf in ("eps", "keep") and parents == [
        "select"
    ]:  # the later of the two keys replaces the other
        node.pop({"eps": "keep", "keep": "eps"}[leaf], None)
