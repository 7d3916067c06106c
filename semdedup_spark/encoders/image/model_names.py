"""``embed.model`` of the libraries of vision models: ``name[.tag][:file]``, read and identified.

Reads files, loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from semdedup_spark.encoders.image.preprocess import image_identity
from semdedup_spark.encoders.model_files import files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ConfigError, EnvironmentProblem

# Encoder: extra, imported package, distribution, an example.
_LIBRARIES = {
    "torchvision": ("vision", "torchvision", "torchvision", "vgg16:/models/vgg16.pth"),
    "timm": ("vision", "timm", "timm", "resnet50.a1_in1k:/models/resnet50.safetensors"),
    "open-clip": (
        "clip", "open_clip", "open_clip_torch", "ViT-B-16:/models/vit_b_16.safetensors"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ModelName:
    """``name``: an architecture that the library knows; ``tag``: weights that it knows for it, and
    the preprocessing that goes with them; ``file``: local weights instead of the tag's.
    """

    name: str
    tag: str | None
    file: Path | None

    def __str__(self) -> str:
        return self.name if self.tag is None else f"{self.name}.{self.tag}"


def parse_model(spec: EncoderSpec) -> ModelName:
    """Raises :class:`ConfigError` where it is no ``name[.tag][:file]``, and
    :class:`EnvironmentProblem` where the file is not there.
    """
    example = _LIBRARIES[spec.name][3]
    named, colon, path = (spec.model or "").partition(":")
    name, dot, tag = named.partition(".")
    if not name or (colon and not path) or (dot and not tag):
        raise ConfigError(
            f"embed.model must be name, name.tag, name:file or name.tag:file for encoder "
            f"{spec.name}. Got {spec.model!r}.",
            hint=f"such as {example}",
        )
    if colon and not Path(path).is_file():
        raise EnvironmentProblem(
            f"embed.model must name a file of weights after the colon. Got {path!r}, which is no "
            "file here.",
            hint="the path must be the same on the driver and on every worker.",
        )
    return ModelName(name, tag or None, Path(path) if colon else None)


def library_identity(spec: EncoderSpec) -> str:
    """Encoder, model, weights, the library (whose preprocessing it is), decoder, dtype."""
    need_library(spec)
    model = parse_model(spec)
    weights = f"sha256:{files_digest([model.file])}" if model.file else "the library's"
    return f"{library(spec)} {model} {weights} {image_identity()} {spec.precision}"


def need_library(spec: EncoderSpec) -> None:
    """Raise :class:`EnvironmentProblem` where it is not installed."""
    extra, package = _LIBRARIES[spec.name][:2]
    need_packages(spec.name, extra, "torch", package)


def library(spec: EncoderSpec) -> str:
    """The encoder and its library's version."""
    return f"{spec.name} {version(_LIBRARIES[spec.name][2])}"
