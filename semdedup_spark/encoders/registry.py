"""Load the encoder of a spec, once per Python worker, and keep it across tasks."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

# Name: (factory of the encoder, function that gives its identity). Both are "module:attribute" and
# imported on first use. The module of an identity must not import torch, because the driver may not
# have it. config/embed.py says which kinds of source an encoder fits.
ENCODERS: dict[str, tuple[str, str]] = {
    "minilm": ("text.minilm:load_minilm", "text.minilm_files:minilm_identity"),
    "hf-text": ("text.hf_text:load_hf_text", "text.model_files:text_identity"),
    "sentence-transformers": (
        "text.sentence_transformers:Sentences",
        "text.model_files:sentence_identity",
    ),
    "static": ("text.static:Static", "text.static_files:static_identity"),
    "onnx": ("text.onnx:OnnxText", "text.onnx_files:onnx_identity"),
    "pixels": ("image.pixels:Pixels", "image.pixels:pixels_identity"),
    "efficientnet-lite0": (
        "image.efficientnet:load_efficientnet",
        "image.efficientnet_files:efficientnet_identity",
    ),
    "torchvision": ("image.torchvision:load_torchvision", "image.model_names:library_identity"),
    "timm": ("image.timm:load_timm", "image.model_names:library_identity"),
    "open-clip": ("image.open_clip:OpenClip", "image.open_clip_files:clip_identity"),
}


@lru_cache(maxsize=2)
def load_encoder(spec: EncoderSpec) -> Encoder:
    """Load the encoder of a spec.

    The cache lives in this module, which workers import. So a model is loaded once per worker
    process, not once per task.

    Parameters
    ----------
    spec
        Encoder to load.

    Returns
    -------
    Encoder
        The loaded encoder.

    Raises
    ------
    ValueError
        If no encoder has this name.
    EnvironmentProblem
        If the identity of the model here is not ``spec.expected``. Vectors of two models must not
        be mixed in one table.
    """
    if spec.name not in ENCODERS:
        raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}. Got {spec.name!r}.")
    if spec.expected and spec.expected != encoder_identity(spec):
        raise EnvironmentProblem(
            f"the encoder must be the same on the driver and on every worker. Got "
            f"{encoder_identity(spec)!r} here, and {spec.expected!r} on the driver.",
            hint="bring the same model and the same packages to all machines.",
        )
    encoder: Encoder = imported(ENCODERS[spec.name][0])(spec)
    return encoder


def encoder_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides an encoder's vectors.

    This loads no model and imports no torch. Raises
    :class:`semdedup_spark.errors.EnvironmentProblem` where a needed package or model is missing.

    Parameters
    ----------
    spec
        Encoder to describe. Its name may also be ``none``, for ready-made vectors.

    Returns
    -------
    str
        One line. Without an encoder it is the name, and the dtype of vectors if not float32.
    """
    if spec.name not in ENCODERS:
        return spec.name if spec.vector_dtype == "float32" else f"{spec.name} {spec.vector_dtype}"
    identity: str = imported(ENCODERS[spec.name][1])(spec)
    return identity


def imported(place: str) -> Any:
    """Import what is first needed now.

    Parameters
    ----------
    place
        ``module:name``, the module within ``encoders``.

    Returns
    -------
    Any
        What has this name there.
    """
    module, attribute = place.split(":")
    return getattr(import_module(f"semdedup_spark.encoders.{module}"), attribute)
