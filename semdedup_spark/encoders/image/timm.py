"""Encode images with any model of timm, by its pooled features."""

from __future__ import annotations

import timm
import timm.data

from semdedup_spark.encoders.image.features import ImageEncoder, loading
from semdedup_spark.encoders.image.model_names import parse_model
from semdedup_spark.encoders.image.preprocess import Preprocessing
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ConfigError, did_you_mean


def load_timm(spec: EncoderSpec) -> ImageEncoder:
    """Load a model of timm.

    ``resnet50.a1_in1k:/models/resnet50.safetensors`` means local weights with the preprocessing of
    that tag. Without a tag, the preprocessing is that of the model's first tag. Without a file, the
    weights are those of the tag, which timm downloads unless they are cached. Raises
    :class:`EnvironmentProblem` where the weights are missing or do not fit.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is ``name[.tag][:file]``.

    Returns
    -------
    ImageEncoder
        The loaded encoder.

    Raises
    ------
    ConfigError
        If the name is malformed, timm has no such model, or its preprocessing is not supported.
    """
    model = parse_model(spec)
    if model.name not in timm.list_models():
        raise ConfigError(
            f"embed.model must name a model of timm. Got {model.name!r}.",
            hint=did_you_mean(model.name, timm.list_models()),
        )
    local = {} if model.file is None else {"pretrained_cfg_overlay": {"file": str(model.file)}}
    with loading(spec):
        network = timm.create_model(str(model), pretrained=True, num_classes=0, **local)
    return ImageEncoder(network, own_preprocessing(network, str(model)), spec)


def own_preprocessing(network: object, model: str) -> Preprocessing:
    """Read the preprocessing that the weights were evaluated with.

    Parameters
    ----------
    network
        Model of timm.
    model
        Name of the model, for the error message.

    Returns
    -------
    Preprocessing
        The preprocessing.

    Raises
    ------
    ConfigError
        If the model does not take RGB squares that are cropped from the middle or squashed.
    """
    own = timm.data.resolve_model_data_config(network)
    size = own["input_size"]
    if size[0] != 3 or size[1] != size[2] or own["crop_mode"] not in ("center", "squash"):
        raise ConfigError(
            "embed.model must name a model that takes RGB squares, cut from the middle of an image "
            f"or squashed. Got {model!r}, which takes {size} by {own['crop_mode']}.",
        )
    return Preprocessing(
        resize=int(size[1] / own["crop_pct"]),
        crop=size[1],
        interpolation=own["interpolation"],
        mean=tuple(own["mean"]),
        std=tuple(own["std"]),
        squash=own["crop_mode"] == "squash",
    )
