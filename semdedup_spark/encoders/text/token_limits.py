"""Read how many tokens a model and its tokeniser can take. No model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

# Model types that number positions from the padding token's id + 1 on.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"}


def position_limit(directory: Path) -> int | None:
    """Read the most tokens for which a model has positions.

    Parameters
    ----------
    directory
        Directory with the model's ``config.json``.

    Returns
    -------
    int or None
        Tokens. ``None`` if the configuration sets no limit.
    """
    config = _read(directory / "config.json")
    limit = config.get("max_position_embeddings", config.get("n_positions"))
    # MPNet has both relative and absolute positions.
    relative = "relative_attention_num_buckets" in config and config.get("model_type") != "mpnet"
    if not isinstance(limit, int) or limit < 1 or relative:
        return None
    if config.get("model_type") in _OFFSET_POSITIONS:
        limit -= config.get("pad_token_id", 1) + 1
    return limit


def tokenizer_limit(directory: Path) -> int | None:
    """Read the most tokens that the tokeniser's settings recommend.

    Parameters
    ----------
    directory
        Directory with the model's ``tokenizer_config.json``.

    Returns
    -------
    int or None
        Tokens. ``None`` if the settings give no number below 10**9.
    """
    limit = _read(directory / "tokenizer_config.json").get("model_max_length")
    return int(limit) if isinstance(limit, int | float) and limit < 10**9 else None


def checked_length(spec: EncoderSpec, directory: Path, own: int) -> int:
    """Determine the most tokens of a text, and check it against the model's positions.

    Parameters
    ----------
    spec
        Encoder settings.
    directory
        Directory with the files of the model and its tokeniser.
    own
        Tokens to use if ``spec.max_length`` is not set.

    Returns
    -------
    int
        ``spec.max_length`` if set, otherwise the smallest of ``own``, the model's positions and
        the tokeniser's limit.

    Raises
    ------
    EnvironmentProblem
        If the model has fewer positions than ``spec.max_length``.
    """
    limit = position_limit(directory)
    if spec.max_length is None:
        return min(each for each in (own, limit, tokenizer_limit(directory)) if each is not None)
    if limit is not None and spec.max_length > limit:
        raise EnvironmentProblem(
            f"embed.max_length must be at most {limit}, the number of positions of the model "
            f"{spec.model!r}. Got {spec.max_length}.",
            hint="null uses the model's own limit; long_text: chunk-mean covers longer texts.",
        )
    return spec.max_length


def _read(path: Path) -> dict[str, Any]:
    """Read the settings in a JSON file. Without a valid file they are empty.

    Loading the model then raises a more precise error.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
