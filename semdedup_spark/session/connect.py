"""What a command that reaches Spark over Spark Connect sends to the server: this package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pyspark.sql import SparkSession

_NAME = "semdedup_spark"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold


def send_package(session: SparkSession) -> None:
    """Send this package to the Python workers of a session, where it comes before one that is
    installed there: so they run the code that the command runs.

    Parameters
    ----------
    session
        A session of Spark Connect. The package is there for this session only.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder, f"{_NAME}.zip")
        with ZipFile(place, "w", ZIP_DEFLATED) as packed:
            for name, file in _below(files(_NAME), _NAME):
                # Equal files make equal bytes: a server refuses others of the same name.
                packed.writestr(ZipInfo(name, _EARLIEST), file.read_bytes(), ZIP_DEFLATED)
        session.addArtifacts(str(place), pyfile=True)


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda file: file.name):
        inner = f"{name}/{each.name}"
        if each.is_file():
            yield inner, each
        elif each.name != "__pycache__":
            yield from _below(each, inner)
