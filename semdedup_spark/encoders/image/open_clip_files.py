"""Find and identify the files of an open_clip model. No model is loaded."""

from __future__ import annotations

from pathlib import Path

from semdedup_spark.encoders.image.model_names import library, library_identity, need_library
from semdedup_spark.encoders.image.preprocess import image_identity
from semdedup_spark.encoders.model_files import files_digest, from_hub
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

_HUB = "hf-hub:"
_CONFIG = "open_clip_config.json"

# The files in a directory that decide a model's vectors. Pickled weights are used only if there is
# no safetensors file.
_TABLES = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth", "*.pt")


def clip_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of an open_clip model.

    Raises as :func:`library_identity` does, and :class:`EnvironmentProblem` where the hub does not
    give the model.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, version of the library, model, weights, decoder, dtype and tower.
    """
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
    """Find the directory of a model in open_clip's format.

    Files of a hub id are downloaded unless they are in the cache.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` may be a local directory, or ``hf-hub:`` and a hub id.

    Returns
    -------
    Path or None
        The directory. ``None`` if ``spec.model`` is neither.

    Raises
    ------
    EnvironmentProblem
        If the directory has no ``open_clip_config.json``, or the hub does not give the model.
    """
    if spec.model is not None and spec.model.startswith(_HUB):
        return _from_hub(spec, *_hub_id(spec.model))
    directory = Path(spec.model or "").expanduser()
    if spec.model is None or not directory.is_dir():
        return None
    if not (directory / _CONFIG).is_file():
        raise EnvironmentProblem(
            f"embed.model must be a directory with {_CONFIG} and weights. Got {spec.model!r}, "
            f"which has no {_CONFIG}.",
            hint="or name the architecture and the file: ViT-B-16:/models/vit_b_16.safetensors",
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
