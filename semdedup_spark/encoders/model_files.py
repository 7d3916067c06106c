"""Which packages and files an encoder needs. Reads files, loads nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem


def need_packages(encoder: str, extra: str, *packages: str) -> None:
    """Raise :class:`EnvironmentProblem` for the first that is not installed; ``extra`` has it."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise EnvironmentProblem(
                f"encoder {encoder} must have the package {package}. It is not installed.",
                hint=f"pip install 'semdedup-spark[{extra}]'",
            )


def files_digest(files: Iterable[Path]) -> str:
    """SHA-256 of the files' bytes, one after the other, in hex. Read again when a file changes."""
    paths = tuple(files)
    stats = [path.stat() for path in paths]
    return _sha256(paths, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


def from_hub(spec: EncoderSpec, function: str, repo: str, **arguments: Any) -> str:
    """A path that ``huggingface_hub``'s ``function`` gives; asks the hub for what is not cached.

    Raises :class:`EnvironmentProblem`.
    """
    import huggingface_hub

    try:
        found: str = getattr(huggingface_hub, function)(repo, **arguments)
    except Exception as error:  # of httpx, of the hub's own, of the cache: it depends on versions
        raise EnvironmentProblem(
            f"embed.model must be a local directory or a model that the hub gives. Got "
            f"{spec.model!r}: no such directory, and the hub says {type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else 'nothing more'}",
            hint="check the path; without a network, set a local directory.",
        ) from error
    return found


@lru_cache(maxsize=64)
def _sha256(files: tuple[Path, ...], _seen: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
