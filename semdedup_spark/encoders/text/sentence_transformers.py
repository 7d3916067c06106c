"""Encode texts with models of the sentence-transformers library, with their own settings."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.text.hf_text import cannot_load, lower_precision, padded, quieten
from semdedup_spark.encoders.text.model_files import first_module, text_directory
from semdedup_spark.encoders.text.token_limits import checked_length, position_limit
from semdedup_spark.encoders.text.token_windows import Tokens, encode_windows
from semdedup_spark.encoders.torch_setup import limit_threads, select_device
from semdedup_spark.kernels.vectors import FloatArray


class Sentences:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are strings.

    The model's directory gives the pooling, dense layers, normalisation, lower case, a default
    prompt, and the most tokens of a text unless ``spec.max_length`` does. Models that need more
    than plain tokens are also supported, but only without ``max_length`` and with
    ``long_text: truncate``. Raises :class:`EnvironmentProblem` where the model is missing, cannot
    be loaded, or cannot be used with these settings.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a local directory or a hub id.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        quieten()
        limit_threads()
        directory = text_directory(spec)
        files = first_module(directory)
        self._device = select_device(spec.device)
        self._batch_size = spec.batch_size
        self._longest = position_limit(files)
        self._model = _load(spec, directory, self._device)
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        self._tokens = self._plain_tokens(spec, files)
        lower_precision(self, self._model[0], spec.precision)  # Pooling is always float32.

    def _plain_tokens(self, spec: EncoderSpec, files: Path) -> Tokens | None:
        """Make the tokeniser of a model that takes plain tokens; ``None`` for other models."""
        if _is_plain(self._model, self._prompt):
            own = int(min(self._model.max_seq_length or 512, 10**6))
            length = checked_length(spec, files, own)
            return Tokens(self._model.tokenizer, length, spec.long_text, self._prompt)
        if spec.long_text != "truncate" or spec.max_length is not None:
            raise cannot_load(
                spec, "its first module does not count tokens: leave long_text and max_length unset"
            )
        return None

    def prepare(self, payloads: Sequence[str]) -> list[Any]:
        """Tokenise texts.

        Parameters
        ----------
        payloads
            n texts.

        Returns
        -------
        list[Any]
            n entries: windows of tokens; for a model that needs more than plain tokens, the
            features that its library makes; or a :class:`RejectedPayload`.
        """
        if self._tokens is not None:
            return list(self._tokens.prepare(payloads))
        return [self._features(text) for text in payloads]

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """Compute vectors. Texts of similar length share a forward pass.

        Parameters
        ----------
        prepared
            n >= 1 results of :meth:`prepare`, none of them rejected.

        Returns
        -------
        FloatArray
            (n, d) float32, in the order of the texts.
        """
        if self._tokens is None:
            return np.concatenate([self._vectors(dict(features)) for features in prepared])
        return encode_windows(
            prepared, self._forward, batch_size=self._batch_size, longest=self._longest
        )

    def _features(self, text: str) -> dict[str, Any] | RejectedPayload:
        features: dict[str, Any] = self._model.preprocess([text], prompt=self._prompt or None)
        if features["input_ids"].numel() == 0:
            return RejectedPayload("no_tokens", "the model's tokeniser finds no tokens in the text")
        return features

    def _forward(self, tokens: list[list[int]], length: int) -> FloatArray:
        ids, mask = padded(tokens, length)
        return self._vectors({"input_ids": ids, "attention_mask": mask})

    @torch.inference_mode()
    def _vectors(self, features: dict[str, Any]) -> FloatArray:
        first, *others = self._model.children()
        features = _moved(first(_moved(features, device=self._device)), dtype=torch.float32)
        while "sentence_embedding" not in features:
            features = others.pop(0)(features)
        X = features["sentence_embedding"]
        # On the CPU the bits of a matrix product depend on the number of rows if there are few.
        # There are always at least eight tokens. There may be a single vector, so dense layers get
        # vectors one at a time.
        parts = X.split(1) if others and X.device.type == "cpu" else [X]
        for module in others:
            parts = [module({"sentence_embedding": part})["sentence_embedding"] for part in parts]
        vectors: FloatArray = torch.cat(list(parts)).cpu().numpy()
        return vectors


def _moved(features: dict[str, Any], **to: Any) -> dict[str, Any]:
    """Move all tensors to another ``device``, or convert floating-point ones to a ``dtype``."""
    return {
        name: value.to(**to)
        if isinstance(value, torch.Tensor) and ("device" in to or value.is_floating_point())
        else value
        for name, value in features.items()
    }


def _load(spec: EncoderSpec, directory: Path, device: torch.device) -> SentenceTransformer:
    if not (directory / "modules.json").is_file():
        raise cannot_load(spec, "it has no modules.json. Encoder hf-text does not need one")
    try:
        model: SentenceTransformer = SentenceTransformer(
            str(directory),
            device=str(device),
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
        )
    except (OSError, ValueError, ImportError, RuntimeError, pickle.UnpicklingError) as error:
        raise cannot_load(spec, error) from error
    model.eval().to(dtype=torch.float32)
    return model


def _is_plain(model: SentenceTransformer, prompt: str) -> bool:
    """Check whether the model needs only token ids and a mask.

    Its first module must then be a Transformer with a fast tokeniser and without a chat template,
    and there must be no prompt that pooling has to leave out.
    """
    first: Any = model[0]
    left_out = prompt and not all(getattr(m, "include_prompt", True) for m in model.children())
    return (
        type(first).__name__ == "Transformer"
        and "message" not in first.modality_config
        and getattr(model.tokenizer, "is_fast", False)
        and not left_out
    )
