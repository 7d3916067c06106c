"""What tells a stage's result from others, and which of its settings the ledger keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from semdedup_spark.config import canonical_json, fingerprint, plain_settings
from semdedup_spark.masking import identifying, masked_settings
from semdedup_spark.tables.runs import StageRecord

# Part of every result's identity: raised when a stage starts to compute something else.
_FORMAT = 3


def result_key(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of a stage's output: equal settings and inputs give equal output."""
    return fingerprint({"format": _FORMAT, "settings": settings, "inputs": inputs})


def key_beside(
    last: StageRecord | None, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """The key of a stage's result, without credentials: one that was exchanged makes no other one.

    Parameters
    ----------
    last
        The newest record of the stage. Release 0.1 hashed credentials, too; what it made with the
        same ones keeps its key, and stays valid.
    settings, inputs
        As :func:`result_key` takes them.

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
    """Settings as the ledger keeps them, without secrets."""
    return masked_settings(plain_settings(settings))


def kept_config(config: str) -> str:
    """The text of settings in the ledger as it is kept now; release 0.1 wrote secrets down."""
    return canonical_json(masked_settings(json.loads(config)))
