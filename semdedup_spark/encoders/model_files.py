"""Find the packages and files that an encoder needs. Files are read, but no model is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem


def need_packages(encoder: str, extra: str, *packages: str) -> None:
    """Check that packages are installed.

    Parameters
    ----------
    encoder
        Name of the encoder, for the error message.
    extra
        Extra of this distribution that installs the packages.
    *packages
        Import names of the packages.

    Raises
    ------
    EnvironmentProblem
        For the first package that is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise EnvironmentProblem(
                f"encoder {encoder} must have the package {package}. It is not installed.",
                hint=f"pip install 'semdedup-spark[{extra}]'",
            )


def files_digest(files: Iterable[Path]) -> str:
    """Hash the content of files.

    The result is cached until the size or the modification time of a file changes.

    Parameters
    ----------
    files
        Files, in the order in which their bytes are hashed.

    Returns
    -------
    str
        SHA-256 of the concatenated bytes, 64 hex digits.
    """
    paths = tuple(files)
    stats = [path.stat() for path in paths]
    return _sha256(paths, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


def directory_digest(directory: Path, patterns: Iterable[str]) -> str:
    """Hash the names and the content of files in a directory and below.

    Parameters
    ----------
    directory
        The directory.
    patterns
        Patterns of file names, such as ``*.json``.

    Returns
    -------
    str
        SHA-256, 64 hex digits.
    """
    found = {path for pattern in patterns for path in directory.rglob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(found):
        name = path.relative_to(directory).as_posix()
        digest.update(f"{name}\0{files_digest([path])}\n".encode())
    return digest.hexdigest()


def from_hub(spec: EncoderSpec, function: str, repo: str, **arguments: Any) -> str:
    """Call a download function of ``huggingface_hub``. Only what is not cached is downloaded.

    Parameters
    ----------
    spec
        Encoder whose model is wanted, for the error message.
    function
        Name of the function, such as ``snapshot_download``.
    repo
        Id of the repository.
    **arguments
        Further arguments of the function.

    Returns
    -------
    str
        Path of the file or folder in the hub's cache.

    Raises
    ------
    EnvironmentProblem
        If the hub does not give the model.
    """
    import huggingface_hub

    call: Callable[..., str] = getattr(huggingface_hub, function)
    try:
        try:
            found = call(repo, **arguments)
        except huggingface_hub.errors.OfflineModeIsEnabled:
            # Of a cache that an older hub filled, hub 1.31 to 1.33 ask the network for a list.
            found = call(repo, **arguments, local_files_only=True)
    except Exception as error:  # The type depends on versions: of httpx, of the hub, of the cache.
        raise EnvironmentProblem(
            f"embed.model must be a local directory or a model on the hub. Got "
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
