"""The Python worker process of Spark: its tasks, its threads, and the device it computes on."""

from __future__ import annotations

import functools
import gc
import os
import sys
import zipimport
from pathlib import Path

from pyspark import TaskContext


class TasksBegun:
    """State of this process: its newest task, and how many tasks it has begun.

    Attributes
    ----------
    task
        Spark's number of the newest task; -1 before the first one.
    n_tasks
        Number of tasks.
    """

    task: int = -1
    n_tasks: int = 0


def begin_task() -> None:
    """Spare what Spark's worker does around each task, which may cost more than the task.

    To be called in the body of a UDF, any number of times. Does nothing outside of a task.
    """
    context = TaskContext.get()
    if context is None or context.taskAttemptId() == TasksBegun.task:
        return
    TasksBegun.task, TasksBegun.n_tasks = context.taskAttemptId(), TasksBegun.n_tasks + 1
    _keep_zips_read()
    # Spark ends each task with gc.collect(), which visits all objects of numpy, pandas, PyArrow
    # and torch: a tenth of a second. Objects of the first task stay, and need no visit.
    if TasksBegun.n_tasks == 2:
        gc.freeze()


def _keep_zips_read() -> None:
    """Spark's worker starts each task with ``importlib.invalidate_caches()``. Python 3.10 to
    3.12 then read the directory of every zip on the path again: pyspark.zip costs 0.14 s. Finders
    of zips are made again, from a cache, when next a module is looked for.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            del sys.path_importer_cache[path]


def worker_threads() -> int:
    """Tell how many threads this worker may use.

    Returns
    -------
    int
        Number of threads, such that workers times threads is the number of cores: Spark sets
        OMP_NUM_THREADS to the cores of a task.
    """
    setting = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(setting)) if setting.isdigit() else 1


def compute_device(wanted: str) -> str:
    """Choose the device for matrix products.

    Parameters
    ----------
    wanted
        ``cpu``, ``cuda`` or ``auto``, as configured.

    Returns
    -------
    str
        ``cpu``, or a GPU as torch names it. For ``auto`` the GPU that Spark assigned to this
        task, else one that torch sees, else the CPU.
    """
    if wanted == "cpu":
        return "cpu"
    assigned = task_gpu()
    if assigned or wanted == "cuda":
        return assigned or "cuda"
    return "cuda" if torch_sees_gpu() else "cpu"


def worker_device(wanted: str) -> str:
    """Choose the device for a model.

    Parameters
    ----------
    wanted
        ``cpu``, ``cuda``, ``cuda:<index>`` or ``auto``, as configured.

    Returns
    -------
    str
        ``cpu`` or ``cuda:<index>``: the GPU that Spark assigned to this task; else, if torch sees
        GPUs, each of them in turn; else the CPU, unless the configuration wants a GPU.
    """
    if wanted == "cpu":
        return "cpu"
    assigned = task_gpu()
    if assigned:
        return assigned
    n_gpus = torch_sees_gpu()
    if n_gpus == 0:
        return "cpu" if wanted == "auto" else wanted
    return wanted if wanted.startswith("cuda:") else f"cuda:{gpu_in_turn(n_gpus)}"


@functools.cache
def gpu_in_turn(n_gpus: int) -> int:
    """Choose a GPU of this machine where Spark assigned none. Workers that start together have
    tasks of successive partitions. A worker that has loaded its model stays on its GPU, whichever
    task comes next.

    Parameters
    ----------
    n_gpus
        Number of GPUs.

    Returns
    -------
    int
        Number of the GPU, from 0.
    """
    context = TaskContext.get()
    return context.partitionId() % n_gpus if context is not None else 0


def task_gpu() -> str | None:
    """Tell which GPU Spark assigned to this task.

    Returns
    -------
    str | None
        The GPU as torch names it, ``None`` without one.
    """
    context = TaskContext.get()
    gpus = context.resources().get("gpu") if context is not None else None
    return f"cuda:{gpus.addresses[0]}" if gpus else None


@functools.cache
def torch_sees_gpu() -> int:
    """Count the GPUs that torch sees. Torch is imported only if their driver is loaded.

    Returns
    -------
    int
        Number of GPUs.
    """
    if not Path("/proc/driver/nvidia/version").exists():
        return 0
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
