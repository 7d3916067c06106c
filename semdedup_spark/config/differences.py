"""What differs between the settings of two runs, in words."""

from __future__ import annotations

import json
from typing import Any


def config_difference(old: str, new: str) -> list[str]:
    """Compare two settings.

    Parameters
    ----------
    old
        Settings as JSON.
    new
        Other settings as JSON.

    Returns
    -------
    list[str]
        ``key old -> new`` for each setting that differs. One that has no value is ``not set``.
    """
    before, after = _flat(json.loads(old)), _flat(json.loads(new))
    return [
        f"{key} {_told(before.get(key))} -> {_told(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _told(value: Any) -> str:
    return "not set" if value is None else repr(value)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
