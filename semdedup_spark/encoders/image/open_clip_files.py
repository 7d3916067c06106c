"""Where the files of a model of open_clip are, and which ones they are. Loads nothing."""

from __future__ import annotations

from pathlib import Path

from semdedup_spark.encoders.image.model_names import library, library_identity, need_library
from semdedup_spark.encoders.image.preprocess import image_identity
from semdedup_spark.encoders.model_files import files_digest, from_hub
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

_HUB = "hf-hub:"
_CONFIG = "open_clip_config.json"

# What of a directory decides a model's numbers, weights last; pickles only where there is no other.
_TABLES = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth", "*.pt")


def clip_identity(spec: EncoderSpec) -> str:
    """As :func:`library_identity`, and which tower."""
    need_library(spec)
    tower = f"tower={spec.tower or 'by-payload'}"
    if spec.model is not None and spec.model.startswith(_HUB):
        repo, revision = _hub_id(spec.model)
        config = Path(from_hub(spec, "hf_hub_download", repo, filename=_CONFIG, revision=revision))
        which = f"hub:{repo}@{config.parent.name}"
    elif (directory := clip_directory(spec)) is not None:
        files = sorted(f for each in (*_TABLES, *_WEIGHTS) for f in directory.glob(each))
        which = f"sha256:{files_digest(files)}"
    else:
        return f"{library_identity(spec)} {tower}"
    return f"{library(spec)} {which} {image_identity()} {spec.precision} {tower}"


def clip_directory(spec: EncoderSpec) -> Path | None:
    """The directory in open_clip's format that ``spec.model`` is, or the hub's copy of one, fetched
    unless it is in the cache; ``None`` where ``spec.model`` is neither.
    """
    if spec.model is not None and spec.model.startswith(_HUB):
        return _from_hub(spec, *_hub_id(spec.model))
    directory = Path(spec.model or "").expanduser()
    if spec.model is None or not directory.is_dir():
        return None
    if not (directory / _CONFIG).is_file():
        raise EnvironmentProblem(
            f"embed.model must be a directory with {_CONFIG} and weights. Got {spec.model!r} "
            "without the former.",
            hint="without it name the architecture: ViT-B-16:/models/vit_b_16.safetensors",
        )
    return directory


def _from_hub(spec: EncoderSpec, repo: str, revision: str | None) -> Path:
    directory = Path()
    for weights in _WEIGHTS:
        patterns = [*_TABLES, weights]
        found = from_hub(
            spec, "snapshot_download", repo, revision=revision, allow_patterns=patterns
        )
        directory = Path(found)
        if list(directory.glob(weights)):
            break
    return directory


def _hub_id(model: str) -> tuple[str, str | None]:
    repo, _, revision = model.removeprefix(_HUB).partition("@")
    return repo, revision or None
