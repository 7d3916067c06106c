"""Download by torchvision, where there is a network."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

_CLASSES = {"mnist": "MNIST", "fmnist": "FashionMNIST", "cifar10": "CIFAR10"}


def download(name: str, root: Path) -> str:
    """Let torchvision fetch a data set to ``root``, and say in a few words how that ended."""
    try:
        import torchvision.datasets
    except ImportError:
        return "not possible without torchvision (pip install 'semdedup-spark[vision]')"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(torchvision.datasets, _CLASSES[name])(str(root), download=True)
    except Exception as error:  # urllib, sockets, files, checksums: it depends on the fault
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return f"failed ({words.rstrip('.:')})"
    return "done"
