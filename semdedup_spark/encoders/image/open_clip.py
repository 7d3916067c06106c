"""Encode images, texts, or both as one vector, with models of open_clip."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch

from semdedup_spark.encoders.image.features import Runner, example_pixels, loading, normaliser
from semdedup_spark.encoders.image.model_names import parse_model
from semdedup_spark.encoders.image.open_clip_files import clip_directory
from semdedup_spark.encoders.image.preprocess import Preprocessing
from semdedup_spark.encoders.precision import check_precision
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, rejected_or
from semdedup_spark.errors import ConfigError, did_you_mean
from semdedup_spark.kernels.vectors import FloatArray, unit_rows

_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
# Reason codes of a row without a part that the tower wants.
_LACKS = {"image": "no_image", "text": "no_text"}


class OpenClip:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` of images, texts, or both.

    Payloads are encoded images, texts, or ``{"image": bytes, "text": str}``. ``spec.tower`` says
    what is encoded: ``image`` or ``text``, also from payloads that have both; ``image+text``; or
    ``None``, what the payload has. A vector of both consists of the two unit vectors, so a cosine
    is the mean of the cosine of the images and the cosine of the texts. Texts are truncated to what
    the model takes, usually 77 tokens. Raises :class:`ConfigError` for a name that open_clip does
    not know, and :class:`EnvironmentProblem` where the model cannot be loaded or fails in
    ``spec.precision``.

    Parameters
    ----------
    spec
        Encoder settings.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        self._runner = Runner(spec)
        self._tower = spec.tower
        self._limits = spec.max_pixels, spec.max_decoded_mb
        self._one_at_a_time = threading.Lock()  # Some tokenisers change their own state in a call.
        self._model, self._tokenizer = _load(spec, "float32", self._runner.device)
        self._preprocessing = own_preprocessing(self._model)
        self._normalise = normaliser(self._preprocessing, self._runner.device, torch.float32)
        if spec.precision != "float32":
            self._lower(spec)

    def _lower(self, spec: EncoderSpec) -> None:
        pixels = example_pixels(self._preprocessing.crop)
        both = [{"image": pixels, "text": self._tokens("a cat on a chair, and a dog")}]
        reference = self.encode(both)
        # The model is built again, because only the library knows which of its parts keep float32.
        self._model = _load(spec, spec.precision, self._runner.device)[0]
        dtype = getattr(torch, spec.precision)
        self._normalise = normaliser(self._preprocessing, self._runner.device, dtype)
        check_precision(self.encode(both), reference, spec.precision)

    def prepare(self, payloads: Sequence[Any]) -> list[dict[str, Any] | RejectedPayload]:
        """Decode and preprocess images, and tokenise texts.

        Parameters
        ----------
        payloads
            n payloads.

        Returns
        -------
        list[dict[str, Any] | RejectedPayload]
            n entries: ``image``, (crop, crop, 3) uint8 pixels, and ``text``, (L,) int64 tokens, or
            one of them, also as :class:`Noted`; or a rejection, with reason ``no_image`` or
            ``no_text`` where the payload lacks what ``spec.tower`` names.
        """
        return [rejected_or(self._prepare, payload) for payload in payloads]

    def encode(self, prepared: Sequence[dict[str, Any]]) -> FloatArray:
        """Compute the vectors of images, texts, or both.

        Parameters
        ----------
        prepared
            n >= 1 results of :meth:`prepare`, all with the same parts.

        Returns
        -------
        FloatArray
            (n, d) float32, or (n, 2 d) for image and text.
        """
        parts = [
            self._runner.run(forward, [each[part] for each in prepared])
            for part, forward in (("image", self._encode_images), ("text", self._encode_texts))
            if part in prepared[0]
        ]
        return parts[0] if len(parts) == 1 else side_by_side(*parts)

    def _prepare(self, payload: Any) -> dict[str, Any]:
        parts = _parts(payload, self._tower)
        prepared: dict[str, Any] = {}
        if "image" in parts:
            prepared["image"] = self._preprocessing.apply(parts["image"], *self._limits)
        if "text" in parts:
            prepared["text"] = self._tokens(parts["text"])
        return prepared

    def _tokens(self, text: str) -> npt.NDArray[np.int64]:
        with self._one_at_a_time:
            tokens: npt.NDArray[np.int64] = self._tokenizer([text])[0].numpy()
        return tokens

    def _encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self._model.encode_image(self._normalise(pixels))
        return features

    def _encode_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self._model.encode_text(tokens)
        return features


def side_by_side(X: FloatArray, Y: FloatArray) -> FloatArray:
    """Concatenate the unit rows of two matrices, divided by the square root of 2.

    The dot product of two rows of the result is the mean of the two cosines.

    Parameters
    ----------
    X
        (n, d) float32.
    Y
        (n, e) float32.

    Returns
    -------
    FloatArray
        (n, d + e) float32. A row is NaN if its row in ``X`` or ``Y`` has no direction.
    """
    halves = [unit_rows(matrix) for matrix in (X, Y)]
    out: FloatArray = np.concatenate([half.X for half in halves], axis=1) / np.float32(np.sqrt(2))
    for half in halves:
        out[[reason is not None for reason in half.reasons]] = np.nan
    return out


def own_preprocessing(model: Any) -> Preprocessing:
    """Read the preprocessing that the weights were trained with.

    Parameters
    ----------
    model
        Model of open_clip.

    Returns
    -------
    Preprocessing
        The preprocessing.

    Raises
    ------
    ConfigError
        If the model does not take squares that are cropped from the middle or squashed.
    """
    own = open_clip.get_model_preprocess_cfg(model)
    size = own["size"]
    height, width = (size, size) if isinstance(size, int) else size
    if height != width or own["resize_mode"] not in ("shortest", "squash"):
        raise ConfigError(
            "embed.model must name a model that takes squares, cut from the middle of an image or "
            f"squashed. Got one that takes {height} x {width} by {own['resize_mode']}.",
        )
    return Preprocessing(
        resize=height,
        crop=height,
        interpolation="bilinear" if own["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(own["mean"]),
        std=tuple(own["std"]),
        squash=own["resize_mode"] == "squash",
    )


def _parts(payload: Any, tower: str | None) -> dict[str, Any]:
    if isinstance(payload, Mapping):
        given = dict(payload)
    else:
        given = {"text" if isinstance(payload, str) else "image": payload}
    wanted = tower.split("+") if tower else list(given)
    for part in wanted:
        if given.get(part) is None:
            raise RejectedPayload(_LACKS[part], f"the row has no {part}")
    return {part: given[part] for part in wanted}


def _load(spec: EncoderSpec, precision: str, device: torch.device) -> tuple[Any, Any]:
    """Load the model, in eval mode, and its tokeniser."""
    name, options = model_arguments(spec)
    with loading(spec):
        model = open_clip.create_model(
            name,
            precision=_PRECISIONS[precision],
            device=device,
            require_pretrained=True,  # Without it, open_clip falls back to random weights.
            weights_only=True,
            **options,
        )
        return model.eval(), open_clip.get_tokenizer(name)


def model_arguments(spec: EncoderSpec) -> tuple[str, dict[str, Any]]:
    """Write what ``open_clip.create_model`` is called with.

    Parameters
    ----------
    spec
        The encoder.

    Returns
    -------
    tuple[str, dict[str, Any]]
        The name of the model, and further arguments.

    Raises
    ------
    ConfigError
        open_clip has no such model.
    """
    directory = clip_directory(spec)
    if directory is not None:
        return f"local-dir:{directory}", {}
    model = parse_model(spec)
    if model.name not in open_clip.list_models():
        raise ConfigError(
            f"embed.model must name a model of open_clip. Got {model.name!r}.",
            hint=did_you_mean(model.name, open_clip.list_models()),
        )
    options = {} if model.tag is None else _trained_with(model.name, model.tag)
    return model.name, {**options, "pretrained": str(model.file) if model.file else model.tag}


def _trained_with(name: str, tag: str) -> dict[str, Any]:
    """Return the settings of network and preprocessing with which the weights were trained."""
    own = open_clip.get_pretrained_cfg(name, tag)
    if not own:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise ConfigError(
            f"embed.model must name weights that open_clip has for {name}: {', '.join(tags)}. "
            f"Got {tag!r}."
        )
    pixels = ("mean", "std", "interpolation", "resize_mode")
    return {
        # OpenAI's weights need their own activation. With the usual GELU the vectors are worse.
        "force_quick_gelu": bool(own.get("quick_gelu")),
        "force_preprocess_cfg": {key: own[key] for key in pixels if own.get(key)},
    }
