"""Find and identify a text model's files. Files are read, but no model is loaded."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from semdedup_spark.encoders.model_files import directory_digest, from_hub, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.token_limits import checked_length
from semdedup_spark.errors import EnvironmentProblem

# The files in a model's directory that decide its vectors: settings, vocabularies, code, weights.
_TABLES = ("*.json", "*.txt", "*.model", "*.spm", "*.jinja", "*.py")
_WEIGHTS = "*.safetensors"
_PICKLED = "*.bin"  # Used only if there is no safetensors file.

_FROM_THE_HUB = ("hf-text", "sentence-transformers")
_HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*(/[\w-][\w.-]*)?)(@(?P<revision>[\w.-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def text_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of an ``hf-text`` encoder.

    Raises :class:`EnvironmentProblem` where a package or the model is missing, or the length is too
    large for the model.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, model, pooling, length, treatment of long texts, dtype, whether the
        model's own code runs, and the prefix.
    """
    need_packages(spec.name, "text", "torch", "transformers")
    length = "<=512" if spec.max_length is None else f"={spec.max_length}"
    return (
        f"{spec.name} {_which(spec)} {spec.pooling or 'mean'}-pooling max_length{length} "
        f"{spec.long_text} {spec.precision}{_code(spec)}{_prefix(spec)}"
    )


def sentence_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of a ``sentence-transformers`` encoder.

    The model's files give the pooling, and the length if none is set. Raises as
    :func:`text_identity` does.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, model, length, treatment of long texts, dtype, and whether the model's
        own code runs.
    """
    need_packages(spec.name, "sentence", "torch", "transformers", "sentence_transformers")
    length = "own" if spec.max_length is None else str(spec.max_length)
    return (
        f"{spec.name} {_which(spec)} max_length={length} {spec.long_text} {spec.precision}"
        f"{_code(spec)}"
    )


def pinned(spec: EncoderSpec) -> EncoderSpec:
    """Replace a hub id's revision by its commit, so that all workers load the same files.

    This downloads one small file unless it is in the cache. Raises :class:`EnvironmentProblem`
    where the hub does not give the file, or ``spec.model`` is neither a model's directory nor a
    hub id.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    EncoderSpec
        The settings with the commit. Local models and other encoders are returned unchanged.
    """
    if spec.name not in _FROM_THE_HUB or _local_directory(spec) is not None:
        return spec
    repo, revision = _hub_id(spec)
    if revision is not None and _COMMIT.fullmatch(revision):
        return spec
    name = "modules.json" if spec.name == "sentence-transformers" else "config.json"
    found = from_hub(spec, "hf_hub_download", repo, filename=name, revision=revision)
    return replace(spec, model=f"{repo}@{Path(found).parent.name}")


def text_directory(spec: EncoderSpec) -> Path:
    """Find the directory with a model's files. Files of a hub id are downloaded unless cached.

    Raises :class:`EnvironmentProblem` where there is no such directory or it holds no model.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a local directory or a hub id.

    Returns
    -------
    Path
        The directory.
    """
    directory = _local_directory(spec)
    if directory is not None:
        return directory
    repo, revision = _hub_id(pinned(spec))
    for weights in (_WEIGHTS, _PICKLED):
        patterns = [*_TABLES, weights]
        found = from_hub(
            spec, "snapshot_download", repo, revision=revision, allow_patterns=patterns
        )
        if list(Path(found).rglob(weights)):
            break
    return Path(found)


def first_module(directory: Path) -> Path:
    """Find the transformer's own files in a directory of the sentence-transformers library.

    Parameters
    ----------
    directory
        Directory of the whole model.

    Returns
    -------
    Path
        Directory of the first module, which may be ``directory`` itself.
    """
    modules = directory / "modules.json"
    if (directory / "config.json").is_file() or not modules.is_file():
        return directory
    path: str = json.loads(modules.read_text(encoding="utf-8"))[0]["path"]
    return directory / path


def has_safetensors(directory: Path) -> bool:
    """Check whether a model has safetensors weights, so that pickled ones need not be read.

    Parameters
    ----------
    directory
        Directory with the model's files.

    Returns
    -------
    bool
        Whether there is a safetensors file.
    """
    return any(directory.glob(_WEIGHTS))


def _which(spec: EncoderSpec) -> str:
    directory = _local_directory(spec)
    if directory is None:
        repo, commit = _hub_id(pinned(spec))
        return f"hub:{repo}@{commit}"
    checked_length(spec, first_module(directory), own=512)  # Fail before any row is read.
    weights = _WEIGHTS if any(directory.rglob(_WEIGHTS)) else _PICKLED
    return f"sha256:{directory_digest(directory, (*_TABLES, weights))}"


def _code(spec: EncoderSpec) -> str:
    return " runs the model's own code" if spec.trust_remote_code else ""


def _prefix(spec: EncoderSpec) -> str:
    return f" prefix={spec.prefix!r}" if spec.prefix else ""


def _local_directory(spec: EncoderSpec) -> Path | None:
    """Return the local directory of the model, or ``None`` if ``spec.model`` is a hub id."""
    if spec.model is None:
        raise EnvironmentProblem(
            f"embed.model must be set for encoder {spec.name}: a local directory or a hub id.",
            hint="encoder minilm brings its own model.",
        )
    directory = Path(spec.model).expanduser()
    if directory.is_dir():
        if not ((directory / "config.json").is_file() or (directory / "modules.json").is_file()):
            raise EnvironmentProblem(
                f"embed.model must be a directory with a model: config.json, a tokeniser, weights. "
                f"Got {spec.model!r}, which has no config.json.",
                hint="save_pretrained() of model and tokeniser makes such a directory.",
            )
        return directory
    if directory.exists() or _HUB_ID.fullmatch(spec.model) is None:
        raise EnvironmentProblem(
            f"embed.model must be a local directory, or a hub id such as org/name or "
            f"org/name@revision. Got {spec.model!r}, and there is no such directory.",
            hint="the directory must be there on the driver and on every worker.",
        )
    return None


def _hub_id(spec: EncoderSpec) -> tuple[str, str | None]:
    match = _HUB_ID.fullmatch(spec.model or "")
    if match is None:
        raise AssertionError("_local_directory has checked that this is a hub id")
    return match["repo"], match["revision"]
