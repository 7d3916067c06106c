"""What tells a stage's result from others, and which of its settings the ledger keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from semdedup_spark.config import canonical_json, fingerprint, plain_settings
from semdedup_spark.masking import identifying, masked_settings
from semdedup_spark.tables.runs import StageRecord

# Part of every result's identity. It is increased when a stage begins to compute something else.
_FORMAT = 3


def result_key(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Compute the identity of a stage's output: equal settings and inputs give equal output.

    Parameters
    ----------
    settings
        The settings that decide the result.
    inputs
        Identity of each input, by name.

    Returns
    -------
    str
        SHA-256, in hex.
    """
    return fingerprint({"format": _FORMAT, "settings": settings, "inputs": inputs})


def key_beside(
    last: StageRecord | None, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Compute the key of a stage's result without credentials, so that an exchanged credential
    does not make another result.

    Parameters
    ----------
    last
        The newest record of the stage. Release 0.1 hashed credentials, too; what it made with the
        same ones keeps its key, and stays valid.
    settings
        The settings that decide the result.
    inputs
        Identity of each input, by name.

    Returns
    -------
    str
        SHA-256, in hex.
    """
    before = result_key(settings, inputs)
    if last is not None and last.result_key == before:
        return before
    return result_key(identifying(plain_settings(settings)), inputs)


def kept_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare settings for the ledger.

    Parameters
    ----------
    settings
        Settings of a stage.

    Returns
    -------
    dict[str, Any]
        The settings as plain values, without secrets.
    """
    return masked_settings(plain_settings(settings))


def kept_config(config: str) -> str:
    """Bring settings that the ledger has into the form that it has now: release 0.1 wrote secrets
    down.

    Parameters
    ----------
    config
        Settings as JSON, as some release wrote them.

    Returns
    -------
    str
        Settings as JSON, without secrets.
    """
    return canonical_json(masked_settings(json.loads(config)))
