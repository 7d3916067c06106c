"""Files that a command writes where the user says: completely, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from semdedup_spark.errors import ConfigError
from semdedup_spark.paths import local, writer


def check_writable(option: str, path: Path) -> None:
    """Check, before anything is computed, that a file can be written.

    Parameters
    ----------
    option
        Name of the option that holds the path, for the message.
    path
        File to be written. One with a scheme, such as ``s3:``, may lie in an object storage.

    Raises
    ------
    ConfigError
        If the directory does not exist or is not writable, or ``path`` is a directory.

    Notes
    -----
    :class:`~semdedup_spark.errors.SourceError` where nothing installed opens the scheme. Whether
    an object storage takes the file is not asked: that would write one.
    """
    place = local(str(path))
    if place is None:
        writer(str(path), option=option)
        return
    path = Path(place)
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
    """Replace a file in one step: a reader sees the old content or the new content.

    The data is written beside the file, then renamed over it. A symbolic link stays a link. A pipe
    or a device is written to directly. An object storage replaces an object in one step itself.

    Parameters
    ----------
    path
        File to replace. Its directory exists, or it has a scheme.
    data
        New content.

    Raises
    ------
    BaseException
        Any error while writing, after the temporary file is removed.
    """
    place = local(str(path))
    if place is None:
        with writer(str(path), option="the file")() as stream:
            stream.writelines([data])
        return
    path = Path(place)
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
