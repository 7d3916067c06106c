"""Find and identify the files of a text model in the ONNX format. No model is loaded."""

from __future__ import annotations

import mmap
from pathlib import Path

from semdedup_spark.encoders.model_files import files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.token_limits import checked_length
from semdedup_spark.errors import EnvironmentProblem

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
# On the hub, models lie in a folder of their own.
_PLACES = (Path(MODEL), Path("onnx", MODEL))
# Settings that may lie beside them: how many tokens the model takes.
_SETTINGS = ("config.json", "tokenizer_config.json")
# Operators that choose the scale of 8-bit numbers by what they are given begin so.
_SCALES_BY_INPUT = b"DynamicQuantize"
# Most tokens of a text if nothing says otherwise.
_OWN_LENGTH = 512


def onnx_files(spec: EncoderSpec) -> tuple[Path, Path]:
    """Find the files of a model.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a local directory.

    Returns
    -------
    tuple[Path, Path]
        The model, and the tokeniser.

    Raises
    ------
    EnvironmentProblem
        If a package or a file is missing.
    """
    need_packages(spec.name, "onnx", "onnxruntime", "tokenizers")
    directory = Path(spec.model or "").expanduser()
    models = [directory / place for place in _PLACES if (directory / place).is_file()]
    tokenizer = directory / TOKENIZER
    if spec.model is None or not models or not tokenizer.is_file():
        raise EnvironmentProblem(
            f"embed.model must be a directory with {MODEL} (or onnx/{MODEL}) and {TOKENIZER}. Got "
            f"{spec.model!r}, which lacks {TOKENIZER if models else MODEL}.",
            hint="a model of another name: copy or link it to model.onnx in a directory of its "
            "own. The directory must be there on the driver and on every worker.",
        )
    return models[0], tokenizer


def onnx_length(spec: EncoderSpec) -> int:
    """Determine the most tokens of a text.

    Raises :class:`EnvironmentProblem` where ``config.json``, if there is one, gives the model fewer
    positions than ``spec.max_length``.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    int
        ``spec.max_length`` if set, otherwise 512, or fewer if the model takes fewer.
    """
    return checked_length(spec, onnx_files(spec)[1].parent, own=_OWN_LENGTH)


def scales_by_input(model: Path) -> bool:
    """Tell whether a model rounds its activations on a scale that it takes from all of its input.
    Then the vector of a text depends on the texts beside it.

    Parameters
    ----------
    model
        The model's file. The names of its operators stand in it as plain text.

    Returns
    -------
    bool
        Whether an operator of dynamic quantisation occurs.
    """
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_SCALES_BY_INPUT) >= 0


def _weights_beside(model: Path) -> list[Path]:
    """Files beside the model that its name begins with, or that it names: weights, above 2 GB or
    where an exporter chose so. Names stand in it as plain text.
    """
    others = sorted(file for file in model.parent.iterdir() if file.is_file() and file != model)
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return [
            other
            for other in others
            if other.name.startswith(model.name) or content.find(other.name.encode()) >= 0
        ]


def onnx_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of an ``onnx`` encoder.

    Raises :class:`EnvironmentProblem` where a package or file is missing, or the length is too
    large for the model.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, hash of the files, pooling, length, treatment of long texts and prefix.
    """
    model, tokenizer = onnx_files(spec)
    weights = [model, *_weights_beside(model)]
    settings = [file for name in _SETTINGS if (file := tokenizer.parent / name).is_file()]
    digest = files_digest([*weights, tokenizer, *settings])
    prefix = f" prefix={spec.prefix!r}" if spec.prefix else ""
    return (
        f"{spec.name} sha256:{digest} {spec.pooling or 'mean'}-pooling "
        f"max_length={onnx_length(spec)} {spec.long_text}{prefix}"
    )
