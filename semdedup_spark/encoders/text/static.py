"""Encode texts by a table of token vectors: the mean of the vectors of a text's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from model2vec import StaticModel
from safetensors import safe_open
from tokenizers import Tokenizer

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.text.plain_tokens import PlainTokenizer
from semdedup_spark.encoders.text.static_files import packaged_files, static_directory
from semdedup_spark.encoders.text.token_windows import Tokens, Windows
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray

# Most tokens of a text where neither the settings nor the model's directory say so.
_OWN_LENGTH = 512
_NO_LIMIT = 10**9


class Static:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are strings.

    A text is tokenised and its tokens' vectors are averaged; nothing else is computed. So a vector
    does not depend on the order of the tokens, and thousands of texts a second are encoded on one
    core. Special tokens are not added and unknown ones are left out. Raises
    :class:`EnvironmentProblem` where the table is missing or cannot be loaded.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a directory as the model2vec library writes it, or
        ``None`` for the table of the package ``wordllama``.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        self._model = _load(spec)
        own = self._model.config.get("max_length", _OWN_LENGTH)
        length = spec.max_length or own or _NO_LIMIT
        plain = PlainTokenizer(
            self._model.tokenizer, length, special=False, left_out=self._model.unk_token_id
        )
        self._tokens = Tokens(plain, length, spec.long_text)

    def prepare(self, payloads: Sequence[str]) -> list[Windows | RejectedPayload]:
        """Tokenise texts.

        Parameters
        ----------
        payloads
            n texts.

        Returns
        -------
        list[Windows | RejectedPayload]
            n entries: the tokens in one window, in one or several with ``chunk-mean``; or a
            rejection, see :meth:`Tokens.prepare`.
        """
        return self._tokens.prepare(payloads)

    def encode(self, prepared: Sequence[Windows]) -> FloatArray:
        """Average the vectors of each text's tokens.

        Parameters
        ----------
        prepared
            n >= 1 tokenised texts.

        Returns
        -------
        FloatArray
            (n, d) float32, in the order of the texts.
        """
        return np.stack([self._mean(list(chain.from_iterable(windows))) for windows in prepared])

    def _mean(self, ids: list[int]) -> FloatArray:
        table, of_token = self._model.embedding, self._model.token_mapping
        vectors = table[ids if of_token is None else of_token[ids]].astype(np.float32)
        if self._model.weights is not None:
            vectors *= self._model.weights[ids].astype(np.float32)[:, None]
        mean: FloatArray = vectors.mean(axis=0)
        return mean


def _load(spec: EncoderSpec) -> StaticModel:
    directory = static_directory(spec)
    try:
        if directory is not None:
            # A directory that is there is read without asking any hub.
            return StaticModel.from_pretrained(directory)
        table, tokenizer = packaged_files()
        with safe_open(table, framework="numpy") as file:
            vectors = file.get_tensor("embedding.weight")
        return StaticModel(vectors, Tokenizer.from_file(str(tokenizer)))
    except Exception as error:  # Both libraries also raise plain exceptions of their Rust parts.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise EnvironmentProblem(
            f"embed.model must hold a table of token vectors that model2vec can load. Got "
            f"{spec.model or 'the package wordllama'!r}: {lines[0]}",
            hint="StaticModel.save_pretrained() of model2vec makes such a directory.",
        ) from error
