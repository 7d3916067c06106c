"""Where a text model's files are, and which ones they are. Reads files, loads nothing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from semdedup_spark.encoders.model_files import files_digest, from_hub, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

# What of a model's directory decides its numbers: settings, vocabularies, weights, code.
_TABLES = ("*.json", "*.txt", "*.model", "*.spm", "*.jinja", "*.py")
_WEIGHTS = "*.safetensors"
_PICKLED = "*.bin"  # looked at only where there is no safetensors file

_FROM_THE_HUB = ("hf-text", "sentence-transformers")
_HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*(/[\w-][\w.-]*)?)(@(?P<revision>[\w.-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

# These count positions from the padding token's id on.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"}


def text_identity(spec: EncoderSpec) -> str:
    """Encoder, model, pooling, length, long texts, dtype and whose code runs, in one line."""
    need_packages(spec.name, "text", "torch", "transformers")
    length = "<=512" if spec.max_length is None else f"={spec.max_length}"
    return (
        f"{spec.name} {_which(spec)} {spec.pooling or 'mean'}-pooling max_length{length} "
        f"{spec.long_text} {spec.precision}{_code(spec)}"
    )


def sentence_identity(spec: EncoderSpec) -> str:
    """As :func:`text_identity`; pooling, and the length where none is set, are in the files."""
    need_packages(spec.name, "sentence", "torch", "transformers", "sentence_transformers")
    length = "own" if spec.max_length is None else str(spec.max_length)
    return (
        f"{spec.name} {_which(spec)} max_length={length} {spec.long_text} {spec.precision}"
        f"{_code(spec)}"
    )


def pinned(spec: EncoderSpec) -> EncoderSpec:
    """``spec`` with a hub id's revision as a commit, so that all workers load the same files.

    Asks the hub for one small file unless it is in the cache. Local models and the specs of other
    encoders stay as they are.
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
    """The directory with the model's files; those of a hub id are fetched unless in the cache.

    Raises :class:`EnvironmentProblem` where there is none or it holds no model.
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
    """Where the transformer's own files are in a directory of the sentence-transformers library."""
    modules = directory / "modules.json"
    if (directory / "config.json").is_file() or not modules.is_file():
        return directory
    path: str = json.loads(modules.read_text(encoding="utf-8"))[0]["path"]
    return directory / path


def has_safetensors(directory: Path) -> bool:
    """Whether pickled weights can be left alone."""
    return any(directory.glob(_WEIGHTS))


def position_limit(directory: Path) -> int | None:
    """Most tokens that the model has positions for; ``None`` where its config sets no limit."""
    config = _read(directory / "config.json")
    limit = config.get("max_position_embeddings", config.get("n_positions"))
    # MPNet has both relative and absolute positions.
    relative = "relative_attention_num_buckets" in config and config.get("model_type") != "mpnet"
    if not isinstance(limit, int) or limit < 1 or relative:
        return None
    if config.get("model_type") in _OFFSET_POSITIONS:
        limit -= config.get("pad_token_id", 1) + 1
    return limit


def tokenizer_limit(directory: Path) -> int | None:
    """Most tokens that the tokeniser's settings mean to be used; ``None`` where they do not say."""
    limit = _read(directory / "tokenizer_config.json").get("model_max_length")
    return int(limit) if isinstance(limit, int | float) and limit < 10**9 else None


def checked_length(spec: EncoderSpec, directory: Path, own: int) -> int:
    """``spec.max_length``, or ``own`` and no more than the model can take.

    Raises :class:`EnvironmentProblem` where the model has fewer positions than are asked for.
    """
    limit = position_limit(directory)
    if spec.max_length is None:
        return min(each for each in (own, limit, tokenizer_limit(directory)) if each is not None)
    if limit is not None and spec.max_length > limit:
        raise EnvironmentProblem(
            f"embed.max_length must be at most {limit}, the positions that the model "
            f"{spec.model!r} has. Got {spec.max_length}.",
            hint="leave it null for the model's own; long_text: chunk-mean covers longer texts.",
        )
    return spec.max_length


def _which(spec: EncoderSpec) -> str:
    directory = _local_directory(spec)
    if directory is None:
        repo, commit = _hub_id(pinned(spec))
        return f"hub:{repo}@{commit}"
    checked_length(spec, first_module(directory), own=512)  # said before a row is read
    weights = _WEIGHTS if any(directory.rglob(_WEIGHTS)) else _PICKLED
    found = {path for pattern in (*_TABLES, weights) for path in directory.rglob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(found):
        name = path.relative_to(directory).as_posix()
        digest.update(f"{name}\0{files_digest([path])}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _code(spec: EncoderSpec) -> str:
    return " runs the model's own code" if spec.trust_remote_code else ""


def _local_directory(spec: EncoderSpec) -> Path | None:
    """``None`` for what can only be a hub id."""
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
        raise AssertionError("what is no directory was checked to look like a hub id")
    return match["repo"], match["revision"]


def _read(path: Path) -> dict[str, Any]:
    """The settings in a JSON file; none where there is no such file or no JSON in it, of which
    loading the model says more.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
