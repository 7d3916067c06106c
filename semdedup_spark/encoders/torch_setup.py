"""Device and threads of torch in a worker."""

from __future__ import annotations

import os

# MKL chooses its loops by the number of rows. On some processors the bits of a row's product then
# depend on how many other rows the matrix has. In strict mode they do not. The mode must be set
# before MKL computes anything.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

import torch

from semdedup_spark.errors import EnvironmentProblem


def limit_threads() -> None:
    """Limit torch to ``OMP_NUM_THREADS`` threads, one if unset.

    Tokenisers get no threads of their own. Spark runs as many workers as there are cores, so more
    threads would only compete.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def select_device(wanted: str) -> torch.device:
    """Choose the device that models run on.

    Parameters
    ----------
    wanted
        ``auto`` (a GPU if torch sees one, otherwise the CPU), ``cpu``, ``cuda`` or
        ``cuda:<index>``.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    EnvironmentProblem
        A GPU is wanted, by the configuration or because Spark gave one to the task, and torch sees
        none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise EnvironmentProblem(
            f"torch must see the GPU {wanted} on this worker. It sees none.",
            hint="install a torch for CUDA and a driver there, or set embed.device to cpu.",
        )
    return torch.device(wanted)
