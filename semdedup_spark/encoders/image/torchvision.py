"""Encode images with any classifier of torchvision, by the input of its last layer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import torchvision

from semdedup_spark.encoders.image.features import ImageEncoder, loading
from semdedup_spark.encoders.image.model_names import ModelName, parse_model
from semdedup_spark.encoders.image.preprocess import Preprocessing
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ConfigError, did_you_mean


def load_torchvision(spec: EncoderSpec) -> ImageEncoder:
    """Load a classifier of torchvision without its last layer.

    ``vgg16:/models/vgg16.pth`` means a local state dict. ``vgg16.IMAGENET1K_V1`` means registered
    weights, which torchvision downloads unless they are cached. Without a tag, the preprocessing is
    that of the first registered weights (V1). Raises :class:`ConfigError` for a name that
    torchvision does not know, and :class:`EnvironmentProblem` where the weights are missing or do
    not fit.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is ``name[.tag][:file]``.

    Returns
    -------
    ImageEncoder
        The loaded encoder.
    """
    model = parse_model(spec)
    weights = registered_weights(model)
    preprocessing = own_preprocessing(weights)
    with loading(spec):
        if model.file is None:
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        else:
            state = read_state(model.file)
        network = headless(model, state, preprocessing.crop)
    return ImageEncoder(network, preprocessing, spec)


def registered_weights(model: ModelName) -> Any:
    """Find the registered weights of a model.

    Parameters
    ----------
    model
        Name of the model. Without a tag, the first registered weights are taken.

    Returns
    -------
    Any
        Member of torchvision's enumeration of weights.

    Raises
    ------
    ConfigError
        If torchvision has no such classifier or no such weights.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if model.name not in names:
        raise ConfigError(
            f"embed.model must name a classifier of torchvision. Got {model.name!r}.",
            hint=did_you_mean(model.name, names) or f"they are: {', '.join(names)}",
        )
    registered = torchvision.models.get_model_weights(model.name)
    tags = list(registered.__members__)
    if model.tag is not None and model.tag not in tags:
        raise ConfigError(
            f"embed.model must name weights that torchvision has for {model.name}: "
            f"{', '.join(tags)}. Got {model.tag!r}.",
        )
    return registered[model.tag or tags[0]]


def own_preprocessing(weights: Any) -> Preprocessing:
    """Read the preprocessing that the weights were evaluated with.

    Parameters
    ----------
    weights
        Member of torchvision's enumeration of weights.

    Returns
    -------
    Preprocessing
        The preprocessing.
    """
    own = weights.transforms()
    return Preprocessing(
        resize=own.resize_size[0],
        crop=own.crop_size[0],
        interpolation=own.interpolation.value,
        mean=tuple(own.mean),
        std=tuple(own.std),
    )


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Read a state dict.

    Parameters
    ----------
    file
        File of safetensors, or a pickle that contains only tensors.

    Returns
    -------
    dict[str, torch.Tensor]
        Tensors by name.
    """
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    state: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state.get("state_dict", state)  # type: ignore[return-value]


def headless(model: ModelName, state: dict[str, torch.Tensor], crop: int) -> Any:
    """Build a network without its last linear layer.

    Parameters
    ----------
    model
        Name of the model.
    state
        State dict of the whole classifier, with any number of classes.
    crop
        Side of the input in pixels.

    Returns
    -------
    Any
        The network. It maps pixels, (B, 3, crop, crop), to features, (B, d).

    Raises
    ------
    ConfigError
        If the classifier does not end in a linear layer.
    """
    options: dict[str, Any] = {}
    if model.name.startswith("vit_"):  # A vision transformer is built for one size of image.
        options = {"image_size": crop}
    elif model.name in ("inception_v3", "googlenet"):  # As torchvision builds them for weights.
        options = {"transform_input": True, "init_weights": False}
    network: Any = torchvision.models.get_model(model.name, weights=None, **options)
    linear = [name for name, m in network.named_modules() if isinstance(m, torch.nn.Linear)]
    if not linear or model.name.startswith("squeezenet"):
        raise ConfigError(
            "embed.model must name a classifier that ends in a linear layer. Got "
            f"{model.name!r}, which does not.",
        )
    head = linear[-1]
    network.set_submodule(head, torch.nn.Identity())
    if model.name.startswith("densenet"):  # The published files use names of an older torch.
        state = {re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", k): v for k, v in state.items()}
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(f"{head}.")})
    return network
