"""From a spec to a loaded encoder: once per Python worker, kept across tasks."""

from __future__ import annotations

from functools import lru_cache

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec


@lru_cache(maxsize=2)
def load_encoder(spec: EncoderSpec) -> Encoder:
    """The encoder for ``spec``. The cache lives in this module, which workers import, so a model
    is loaded once per worker process and not once per task.
    """
    if spec.name == "minilm":
        from semdedup_spark.encoders.minilm import MiniLM

        return MiniLM(spec)
    if spec.name == "pixels":
        from semdedup_spark.encoders.pixels import Pixels

        return Pixels(spec)
    raise ValueError(f"encoder must be minilm or pixels. Got {spec.name!r}.")


def encoder_identity(spec: EncoderSpec) -> str:
    """What decides an encoder's numbers, in one line. Loads no model, imports no torch.

    Raises :class:`semdedup_spark.errors.EnvironmentProblem` where a needed package or model is
    missing.
    """
    if spec.name == "minilm":
        from semdedup_spark.encoders.minilm_files import minilm_identity

        return minilm_identity(spec)
    if spec.name == "pixels":
        from semdedup_spark.encoders.pixels import pixels_identity

        return pixels_identity(spec)
    return spec.name
