"""Files that a command leaves where the user says: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from semdedup_spark.errors import ConfigError


def check_writable(option: str, path: Path) -> None:
    """Raise :class:`ConfigError` where the file could not be made, before anything is computed."""
    if _is_stream(path):
        return
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"{option} must name a file in a directory that exists and can be written to. "
            f"Got {str(path)!r}.",
            hint=f"mkdir -p {folder}" if not folder.exists() else "name another place.",
        )


def replace_file(path: Path, data: bytes) -> None:
    """Write beside it, then rename over it: a reader sees the old file or the new one. What is a
    link stays one; a pipe or a device is written to.
    """
    if _is_stream(path):
        path.write_bytes(data)
        return
    path = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines([data])
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # mkstemp's are for the owner alone
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()
