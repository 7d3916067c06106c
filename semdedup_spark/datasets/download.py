"""Download data sets with torchvision, if there is a network."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

_CLASSES = {"mnist": "MNIST", "fmnist": "FashionMNIST", "cifar10": "CIFAR10"}


def download(name: str, root: Path) -> str:
    """Download a data set with torchvision and describe the outcome. Errors are not raised.

    Parameters
    ----------
    name
        ``mnist``, ``fmnist`` or ``cifar10``.
    root
        Folder to download to.

    Returns
    -------
    str
        ``done``, or a short phrase that says why the download failed.
    """
    try:
        import torchvision.datasets
    except ImportError:
        return "not possible without torchvision (pip install 'semdedup-spark[vision]')"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(torchvision.datasets, _CLASSES[name])(str(root), download=True)
    except Exception as error:  # The type depends on the fault: urllib, socket, file, checksum.
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return f"failed ({words.rstrip('.:')})"
    return "done"
