"""Vectors of pictures that fit in memory. They are computed once and kept beside the results."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from semdedup_spark.datasets import ImageSet
from semdedup_spark.datasets.pictures import to_png
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.errors import SourceError
from semdedup_spark.kernels.vectors import FloatArray

_BATCH = 64


def represent(images: ImageSet, encoder: str, model: str | None, cache: Path) -> FloatArray:
    """Compute a vector for each picture.

    Parameters
    ----------
    images
        n pictures.
    encoder
        ``pixels`` for the flattened pixels in [0, 1], or a name that ``embed.encoder`` accepts.
    model
        Model of the encoder, as ``embed.model``. By default the encoder chooses one.
    cache
        Folder that keeps the encoder's vectors. ``pixels`` does not use it.

    Returns
    -------
    ndarray
        (n, d) float32. Rows need not have length 1.

    Notes
    -----
    :class:`SourceError` is raised if the encoder rejects a picture.
    """
    if encoder == "pixels":
        flat: FloatArray = images.pixels.reshape(len(images), -1).astype(np.float32)
        flat /= 255
        return flat
    spec = EncoderSpec(encoder, model=model, device="cpu")
    digest = hashlib.sha256(encoder_identity(spec).encode())
    digest.update(np.ascontiguousarray(images.pixels).tobytes())
    file = cache / f"{encoder}-{digest.hexdigest()[:16]}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished.npy")
        np.save(unfinished, _encoded(images, spec))
        unfinished.replace(file)
    X: FloatArray = np.load(file)
    return X


def _encoded(images: ImageSet, spec: EncoderSpec) -> FloatArray:
    encoder, parts = load_encoder(spec), []
    for start in range(0, len(images), _BATCH):
        prepared = encoder.prepare([to_png(p) for p in images.pixels[start : start + _BATCH]])
        bad = next((p for p in prepared if isinstance(p, RejectedPayload)), None)
        if bad is not None:
            raise SourceError(f"every picture must have a vector. Got {bad.reason}: {bad}")
        parts.append(encoder.encode(prepared))
    X: FloatArray = np.concatenate(parts)
    return X
