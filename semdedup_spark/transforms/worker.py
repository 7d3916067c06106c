"""What a Python worker computes with: its GPU or CPU threads, and its one loaded model."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, replace

from pyspark import TaskContext

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.batch_size import CPU_BATCH, GPU_BATCH
from semdedup_spark.encoders.stream.stream import StreamSettings
from semdedup_spark.transforms.arrow import task_gpu, torch_sees_gpu
from semdedup_spark.transforms.worker_memory import keep_freed_memory

# Encoders without a model: torch is not imported for them.
_WITHOUT_MODEL = ("pixels",)
_GPU_PIECE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class WorkerSettings:
    """``decode_seconds``: most that one payload may take to prepare; ``gpu_memory_fraction``: share
    of a GPU's memory that one worker may use, ``None`` for no limit.
    """

    decode_seconds: float = 60.0
    gpu_memory_fraction: float | None = None


def worker_encoder(spec: EncoderSpec, settings: WorkerSettings) -> tuple[Encoder, StreamSettings]:
    """The model, loaded once in this process, and how to use it on this worker's device.

    A ``batch_size`` of 0 is chosen here: fixed on a CPU, found out on a GPU.
    """
    device = "cpu" if spec.name in _WITHOUT_MODEL else worker_device(spec.device)
    on_gpu = device.startswith("cuda")
    if not on_gpu:
        keep_freed_memory()
    if on_gpu and settings.gpu_memory_fraction is not None:
        import torch

        torch.cuda.set_per_process_memory_fraction(settings.gpu_memory_fraction, device)
    batch_size = spec.batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)
    encoder = load_encoder(replace(spec, device=device, batch_size=batch_size))
    growing = on_gpu and spec.batch_size == 0
    stream = StreamSettings(settings.decode_seconds, worker_threads(), growing)
    return encoder, replace(stream, piece_bytes=_GPU_PIECE_BYTES) if on_gpu else stream


def worker_threads() -> int:
    """Threads of this worker, so that workers times threads is the number of cores: Spark sets
    OMP_NUM_THREADS to the cores of a task.
    """
    setting = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(setting)) if setting.isdigit() else 1


def worker_device(wanted: str) -> str:
    """``cpu`` or ``cuda:<index>``: the GPU that Spark assigned to this task; else, where torch sees
    GPUs, the one whose turn it is; else the CPU, unless the configuration wants a GPU.
    """
    if wanted == "cpu":
        return "cpu"
    assigned = task_gpu()
    if assigned:
        return assigned
    n_gpus = torch_sees_gpu()
    if n_gpus == 0:
        return "cpu" if wanted == "auto" else wanted
    return wanted if wanted.startswith("cuda:") else f"cuda:{_turn(n_gpus)}"


@functools.cache
def _turn(n_gpus: int) -> int:
    """Workers that start together have tasks of successive partitions. One that has loaded its
    model stays on its GPU, whichever task comes next.
    """
    context = TaskContext.get()
    return context.partitionId() % n_gpus if context is not None else 0
