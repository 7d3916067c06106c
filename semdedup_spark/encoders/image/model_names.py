"""Parse and identify ``embed.model`` of the libraries of vision models: ``name[.tag][:file]``.

Files are read, but no model is loaded.
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
    """A model of a library, as ``embed.model`` names it.

    Attributes
    ----------
    name
        Architecture that the library knows.
    tag
        Weights that the library knows for this architecture, with their preprocessing.
    file
        File of local weights, used instead of those of the tag.
    """

    name: str
    tag: str | None
    file: Path | None

    def __str__(self) -> str:
        return self.name if self.tag is None else f"{self.name}.{self.tag}"


def parse_model(spec: EncoderSpec) -> ModelName:
    """Parse ``spec.model``.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` must be ``name[.tag][:file]``.

    Returns
    -------
    ModelName
        The parts of the name.

    Raises
    ------
    ConfigError
        If the model has another form.
    EnvironmentProblem
        If the file does not exist.
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
            f"embed.model must name a file of weights after the colon. Got {path!r}, which is not "
            "a file on this machine.",
            hint="the path must be the same on the driver and on every worker.",
        )
    return ModelName(name, tag or None, Path(path) if colon else None)


def library_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of a library's model.

    The version of the library stands for its preprocessing. Raises :class:`EnvironmentProblem`
    where the library or the file is missing, and :class:`ConfigError` for a malformed name.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, version of the library, model, weights, decoder and dtype.
    """
    need_library(spec)
    model = parse_model(spec)
    weights = f"sha256:{files_digest([model.file])}" if model.file else "the library's"
    return f"{library(spec)} {model} {weights} {image_identity()} {spec.precision}"


def need_library(spec: EncoderSpec) -> None:
    """Check that the encoder's library is installed.

    Raises :class:`EnvironmentProblem` where it is not.

    Parameters
    ----------
    spec
        Encoder settings.
    """
    extra, package = _LIBRARIES[spec.name][:2]
    need_packages(spec.name, extra, "torch", package)


def library(spec: EncoderSpec) -> str:
    """Name the encoder and the version of its library.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        Such as ``timm 1.0.20``.
    """
    return f"{spec.name} {version(_LIBRARIES[spec.name][2])}"
