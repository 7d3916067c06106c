"""The encoder of a Python worker: loaded once, and set up for the worker's device."""

from __future__ import annotations

from dataclasses import dataclass, replace

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.batch_size import CPU_BATCH, GPU_BATCH
from semdedup_spark.encoders.stream.stream import StreamSettings
from semdedup_spark.transforms.worker import worker_device, worker_threads
from semdedup_spark.transforms.worker_memory import keep_freed_memory

# Encoders that compute on the CPU in any case: torch is not imported for them.
_ON_THE_CPU = ("pixels", "static", "onnx")
_GPU_PIECE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class WorkerSettings:
    """Limits of a worker that encodes.

    Attributes
    ----------
    decode_seconds
        Most seconds that one payload may take to prepare.
    gpu_memory_fraction
        Share of a GPU's memory that one worker may use, ``None`` for no limit.
    """

    decode_seconds: float = 60.0
    gpu_memory_fraction: float | None = None


def worker_encoder(spec: EncoderSpec, settings: WorkerSettings) -> tuple[Encoder, StreamSettings]:
    """Load the encoder of this process, or return the one that is loaded.

    A ``batch_size`` of 0 is chosen here: fixed on a CPU, found by trying on a GPU.

    Parameters
    ----------
    spec
        The encoder, and what the configuration says of its device and batch size.
    settings
        Limits of the worker.

    Returns
    -------
    tuple[Encoder, StreamSettings]
        The encoder, and how to use it on the device of this worker.
    """
    device = "cpu" if spec.name in _ON_THE_CPU else worker_device(spec.device)
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
