"""Which packages and files an encoder needs. Reads files, loads nothing."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

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


@lru_cache(maxsize=64)
def _sha256(files: tuple[Path, ...], _seen: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
