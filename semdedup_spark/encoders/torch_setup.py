"""Where torch computes, and with how many threads."""

from __future__ import annotations

import os

# MKL chooses its loops by the number of rows: on some processors the bits of a row's product then
# depend on how many rows are beside it. Its strict mode does not; it must be asked for before MKL
# computes anything.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

import torch


def limit_threads() -> None:
    """One thread a worker, or as many as ``OMP_NUM_THREADS`` says; tokenisers have none of their
    own, since as many workers run as there are cores.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def select_device(wanted: str) -> torch.device:
    """``wanted``: ``auto`` (a GPU if torch sees one), ``cpu``, ``cuda`` or ``cuda:<index>``."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"embed.device is {wanted}, and torch sees no GPU on this worker.")
    return torch.device(wanted)
