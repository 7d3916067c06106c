"""From YAML to a checked configuration, and from that to an identity."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from semdedup_spark.config.job import JobConfig
from semdedup_spark.errors import ConfigError, did_you_mean


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> JobConfig:
    """Read a YAML job file and apply ``key.path=value`` overrides (values are YAML).

    Raises :class:`ConfigError` naming every wrong key, what it must be, and what was got.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--config must be a readable YAML file in UTF-8. Got {str(path)!r}: {error}.",
            hint="conf/local.yml is an example to start from.",
        ) from error
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} must be valid YAML. Got: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must be a mapping of keys. Got a {type(tree).__name__}.")
    return parse_config(with_overrides(tree, overrides))


def with_overrides(tree: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy with ``key.path=value`` applied, one after the other. Raises :class:`ConfigError`."""
    changed = copy.deepcopy(dict(tree))
    for override in overrides:
        _apply(changed, override)
    return changed


def parse_config(tree: Mapping[str, Any]) -> JobConfig:
    """Validate a nested mapping. Raises :class:`ConfigError`."""
    try:
        return JobConfig.model_validate(dict(tree))
    except ValidationError as error:
        messages, hints = [], []
        for problem in error.errors():
            message, hint = _explain(problem)
            messages.append(message)
            hints += [hint] if hint else []
        raise ConfigError("\n".join(messages), hint=" ".join(dict.fromkeys(hints))) from error


def canonical_json(tree: Any) -> str:
    """One text for one set of settings, whatever the order of the keys."""
    return json.dumps(tree, sort_keys=True, default=lambda model: model.model_dump())


def fingerprint(tree: Any) -> str:
    """SHA-256 of :func:`canonical_json`, in hex."""
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            f"--set must be key.path=value. Got {override!r}.", hint="--set select.eps=0.1"
        )
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {parent} holds the value {child!r}, not keys.")
        node = child
    try:
        node[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key} must have a YAML value. Got {value!r}.") from error
    if leaf in ("eps", "keep") and parents == ["select"]:  # the later of the two rules wins
        node.pop({"eps": "keep", "keep": "eps"}[leaf], None)


def _explain(problem: Any) -> tuple[str, str]:
    """One line for one pydantic error, and a hint where there is one."""
    path = [str(step) for step in problem["loc"] if not _is_union_step(step)]
    name = ".".join(path) or "the configuration"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(path[:-1])
        return (
            f"{name} is not a known key. Known keys here: {', '.join(known)}.",
            did_you_mean(path[-1], known),
        )
    if problem["type"] == "missing":
        return f"{name} must be set.", "conf/base.yml lists every key with its meaning."
    must = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if problem["type"] == "value_error":
        return f"{name}: {must}.", ""
    return f"{name} must be {must}. Got {problem['input']!r} instead.", ""


def _is_union_step(step: Any) -> bool:
    # pydantic adds the union member it tried, such as "int" or "literal['auto']", to the path.
    return isinstance(step, str) and (step in ("int", "str") or "[" in step)


def _fields_at(path: Sequence[str]) -> list[str]:
    model: Any = JobConfig
    for step in path:
        field = model.model_fields.get(step)
        model = field.annotation if field else None
        optional = [kind for kind in get_args(model) if hasattr(kind, "model_fields")]
        model = optional[0] if optional else model
        if model is None or not hasattr(model, "model_fields"):
            return []
    return list(model.model_fields)
