"""Any classifier of torchvision's, by what its last layer would see."""

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
    """``spec.model``: ``vgg16:/models/vgg16.pth``, a local state dict, or ``vgg16.IMAGENET1K_V1``,
    registered weights, which torchvision downloads unless it has them.

    Without a tag the preprocessing is that of the first registered weights, of V1.
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
    """The member of torchvision's enumeration. Raises :class:`ConfigError` for unknown names."""
    names = torchvision.models.list_models(module=torchvision.models)
    if model.name not in names:
        raise ConfigError(
            f"embed.model must name a classifier of torchvision's. Got {model.name!r}.",
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
    """What the weights were evaluated with."""
    own = weights.transforms()
    return Preprocessing(
        resize=own.resize_size[0],
        crop=own.crop_size[0],
        interpolation=own.interpolation.value,
        mean=tuple(own.mean),
        std=tuple(own.std),
    )


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Tensors by name, from safetensors or a pickle of nothing but tensors."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    state: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return state.get("state_dict", state)  # type: ignore[return-value]


def headless(model: ModelName, state: dict[str, torch.Tensor], crop: int) -> Any:
    """The network with ``state`` and without its last linear layer, of however many classes."""
    options: dict[str, Any] = {}
    if model.name.startswith("vit_"):  # built for one size of image
        options = {"image_size": crop}
    elif model.name in ("inception_v3", "googlenet"):  # as torchvision builds them for weights
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
    if model.name.startswith("densenet"):  # whose published files have names of an older torch
        state = {re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", k): v for k, v in state.items()}
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(f"{head}.")})
    return network
