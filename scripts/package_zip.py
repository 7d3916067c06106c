"""Write the package as a zip for `spark-submit --py-files`: `python -m scripts.package_zip FILE`.

It holds the files of the package that a wheel holds. The same files give the same bytes.
"""

from __future__ import annotations

import sys
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_ROOT = Path(__file__).parents[1]
_NAME = "semdedup_spark"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold


def package_files() -> list[Path]:
    """List the modules, and the data that setup.cfg names.

    Returns
    -------
    list[Path]
        Files, relative to the repository, in the order of their names.
    """
    setup = ConfigParser()
    setup.read(_ROOT / "setup.cfg", encoding="utf-8")
    data = setup["options.package_data"][_NAME].split(",")
    patterns = ["**/*.py", *(pattern.strip() for pattern in data)]
    found = {file for pattern in patterns for file in (_ROOT / _NAME).glob(pattern)}
    return sorted(file.relative_to(_ROOT) for file in found if file.is_file())


def write_zip(to: Path) -> None:
    """Write the zip.

    Parameters
    ----------
    to
        The file; an earlier one is replaced.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(to, "w") as packed:
        for file in package_files():
            entry = ZipInfo(file.as_posix(), _EARLIEST)
            entry.external_attr = 0o100644 << 16
            packed.writestr(entry, (_ROOT / file).read_bytes(), ZIP_DEFLATED)


if __name__ == "__main__":
    write_zip(Path(sys.argv[1]))
