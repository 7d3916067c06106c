"""Find and identify the files of a table of token vectors. Files are read, no model is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from semdedup_spark.encoders.model_files import directory_digest, files_digest, need_packages
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import EnvironmentProblem

_PACKAGE = "wordllama"
_TABLE = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_DECIDING = ("*.json", "*.safetensors")


def packaged_files() -> tuple[Path, Path]:
    """Find the files of the PyPI package ``wordllama``. Its code is not imported.

    Returns
    -------
    tuple[Path, Path]
        The table, and the tokeniser.

    Raises
    ------
    EnvironmentProblem
        If the package or a file is missing.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EnvironmentProblem(
            "encoder static must have the package wordllama, which ships its table. It is not "
            "installed.",
            hint="pip install 'semdedup-spark[static]', or set embed.model to a local directory.",
        )
    folder = Path(found.origin).parent
    files = (folder / _TABLE, folder / _TOKENIZER)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise EnvironmentProblem(
            f"the package wordllama must hold {_TABLE} and {_TOKENIZER}. Got {str(folder)!r} "
            f"without {', '.join(missing)}.",
            hint="pip install --force-reinstall 'semdedup-spark[static]'",
        )
    return files


def static_directory(spec: EncoderSpec) -> Path | None:
    """Find the directory with a table of token vectors.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    Path or None
        The directory. ``None``: the packaged table is meant.

    Raises
    ------
    EnvironmentProblem
        If a package is missing, or the directory holds no such table.
    """
    need_packages(spec.name, "static", "model2vec")
    if spec.model is None:
        return None
    directory = Path(spec.model).expanduser()
    tables = list(directory.rglob("model.safetensors"))
    if not any((table.parent / "tokenizer.json").is_file() for table in tables):
        raise EnvironmentProblem(
            f"embed.model must be a directory with a table of token vectors: model.safetensors and "
            f"tokenizer.json. Got {spec.model!r}, which lacks them.",
            hint="StaticModel.save_pretrained() of model2vec makes such a directory. Leave "
            "embed.model unset to use the packaged table.",
        )
    return directory


def static_identity(spec: EncoderSpec) -> str:
    """Describe everything that decides the vectors of a ``static`` encoder.

    Raises :class:`EnvironmentProblem` where a package or a file is missing.

    Parameters
    ----------
    spec
        Encoder settings.

    Returns
    -------
    str
        One line: encoder, hash of the files, length and treatment of long texts.
    """
    directory = static_directory(spec)
    digest = (
        files_digest(packaged_files())
        if directory is None
        else directory_digest(directory, _DECIDING)
    )
    length = "own" if spec.max_length is None else str(spec.max_length)
    return f"{spec.name} sha256:{digest} max_length={length} {spec.long_text}"
