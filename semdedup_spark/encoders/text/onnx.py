"""Encode texts with a model in the ONNX format, by onnxruntime on the CPU. No torch is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.text.onnx_files import onnx_files, onnx_length, scales_by_input
from semdedup_spark.encoders.text.plain_tokens import PlainTokenizer
from semdedup_spark.encoders.text.token_limits import position_limit
from semdedup_spark.encoders.text.token_windows import Tokens, Windows, encode_windows
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray

_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
_WARNINGS_OFF = 3


class OnnxText:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are strings.

    A text's vector is made from the model's first output with a vector for each token, by
    ``spec.pooling``: ``mean`` (also the default), ``cls`` for the first token, or ``last``. A model
    with dynamic quantisation is given one text at a time, because its rounding depends on
    everything that it is given. Raises :class:`EnvironmentProblem` where the model is missing,
    cannot be loaded, or cannot be used with these settings.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a local directory.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        model, tokenizer = onnx_files(spec)
        length = onnx_length(spec)
        self._batch_size = spec.batch_size
        self._pooling = spec.pooling or "mean"
        self._longest = position_limit(tokenizer.parent)
        self._alone = scales_by_input(model)
        self._session = _load(spec, model)
        self._inputs = _inputs(spec, self._session)
        self._output = _token_vectors(spec, self._session)
        plain = PlainTokenizer(_tokenizer(spec, tokenizer), length, special=True)
        self._tokens = Tokens(plain, length, spec.long_text, spec.prefix or "")

    def prepare(self, payloads: Sequence[str]) -> list[Windows | RejectedPayload]:
        """Tokenise texts, each after ``spec.prefix``.

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
        """Compute vectors. Texts of similar length share a run of the model, unless they must not.

        Parameters
        ----------
        prepared
            n >= 1 tokenised texts.

        Returns
        -------
        FloatArray
            (n, d) float32, in the order of the texts.
        """
        size = 1 if self._alone else self._batch_size
        return encode_windows(prepared, self._forward, batch_size=size, longest=self._longest)

    def _forward(self, tokens: list[list[int]], length: int) -> FloatArray:
        length = len(tokens[0]) if self._alone else length  # padding would be rounded along
        ids = np.zeros((len(tokens), length), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(tokens):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        given = {_IDS: ids, _MASK: mask, _TYPES: np.zeros_like(ids)}
        hidden = self._session.run([self._output], {name: given[name] for name in self._inputs})[0]
        lengths = [len(sequence) for sequence in tokens]
        return pool_tokens(hidden.astype(np.float32, copy=False), lengths, self._pooling)


def pool_tokens(hidden: FloatArray, lengths: Sequence[int], pooling: str) -> FloatArray:
    """Pool token vectors to one vector a text.

    Parameters
    ----------
    hidden
        (B, L, h) float32. Token vectors, those of padding at the end.
    lengths
        B numbers of tokens that are not padding, each at least 1.
    pooling
        ``mean``, ``cls`` (the first token) or ``last``.

    Returns
    -------
    FloatArray
        (B, h) float32.

    Raises
    ------
    ValueError
        If ``pooling`` is unknown.
    """
    rows = list(zip(hidden, lengths, strict=True))
    if pooling == "mean":
        return np.stack([row[:length].mean(axis=0) for row, length in rows])
    if pooling == "cls":
        return np.stack([row[0] for row, _ in rows])
    if pooling == "last":
        return np.stack([row[length - 1] for row, length in rows])
    raise ValueError(f"pooling must be mean, cls or last. Got {pooling!r}.")


def _load(spec: EncoderSpec, model: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS_OFF
    try:
        return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Types of the library's own that share no base class but this.
        raise _cannot_load(spec, error) from error


def _tokenizer(spec: EncoderSpec, file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # The library raises Exception itself.
        raise _cannot_load(spec, error) from error


def _inputs(spec: EncoderSpec, session: ort.InferenceSession) -> list[str]:
    names = [each.name for each in session.get_inputs()]
    others = sorted({*names} - {_IDS, _MASK, _TYPES})
    if _IDS not in names or others:
        raise _cannot_load(
            spec, f"it must take {_IDS}, and may take {_MASK} and {_TYPES}; it takes {names}"
        )
    return names


def _token_vectors(spec: EncoderSpec, session: ort.InferenceSession) -> str:
    """Name the first output of floating-point numbers with three axes: (B, L, h)."""
    outputs: list[ort.NodeArg] = session.get_outputs()
    for output in outputs:
        if output.type in ("tensor(float)", "tensor(float16)") and len(output.shape) == 3:
            return str(output.name)
    names = [each.name for each in outputs]
    raise _cannot_load(spec, f"no output has a vector for each token, of {names}")


def _cannot_load(spec: EncoderSpec, error: Exception | str) -> EnvironmentProblem:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return EnvironmentProblem(
        f"embed.model must hold a text model that onnxruntime can run. Got {spec.model!r}: "
        f"{lines[0]}",
        hint="a model exported as feature-extraction has such inputs and outputs.",
    )
