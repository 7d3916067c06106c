"""Run images through a vision model: uint8 pixels in, one feature vector for each image out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from semdedup_spark.encoders.image.preprocess import Pixels8, Preprocessing
from semdedup_spark.encoders.precision import check_precision
from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload, rejected_or
from semdedup_spark.encoders.torch_setup import limit_threads, select_device
from semdedup_spark.errors import EnvironmentProblem, SemDedupError
from semdedup_spark.kernels.vectors import FloatArray

# On a CPU every forward pass has exactly this many rows; the last pass is filled up with zeros.
# The shape decides how a library multiplies, and so decides the last bits. Few rows are also
# faster, because the activations stay in the cache: EfficientNet-Lite0 made 63 images/s with 4 rows
# and 27 with 32, on one core.
CPU_ROWS = 4


class ImageEncoder:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are encoded images.

    Raises :class:`EnvironmentProblem` where the vectors of ``spec.precision`` differ too much from
    those of float32.

    Parameters
    ----------
    model
        float32 module that maps normalised pixels, (B, 3, crop, crop), to features, (B, d).
    preprocessing
        Preprocessing that the model was trained with.
    spec
        Encoder settings.
    """

    def __init__(
        self, model: torch.nn.Module, preprocessing: Preprocessing, spec: EncoderSpec
    ) -> None:
        self._runner = Runner(spec)
        self._preprocessing = preprocessing
        self._limits = spec.max_pixels, spec.max_decoded_mb
        self._model = model.eval().to(self._runner.device, dtype=torch.float32)
        self._model.to(memory_format=torch.channels_last)
        self._normalise = normaliser(preprocessing, self._runner.device, torch.float32)
        if spec.precision != "float32":
            self._lower(spec.precision)

    def _lower(self, precision: str) -> None:
        image = [example_pixels(self._preprocessing.crop)]
        reference = self.encode(image)
        dtype = getattr(torch, precision)
        self._model.to(dtype=dtype)
        self._normalise = normaliser(self._preprocessing, self._runner.device, dtype)
        check_precision(self.encode(image), reference, precision)

    def prepare(self, payloads: Sequence[bytes]) -> list[Pixels8 | RejectedPayload]:
        """Decode and preprocess images.

        Parameters
        ----------
        payloads
            n encoded images.

        Returns
        -------
        list[Pixels8 | RejectedPayload]
            n entries: (crop, crop, 3) uint8 pixels, also as :class:`Noted`; or a rejection, see
            :func:`decode_image`.
        """
        return [rejected_or(self._prepare, payload) for payload in payloads]

    def _prepare(self, payload: bytes) -> Pixels8:
        return self._preprocessing.apply(payload, *self._limits)

    def encode(self, prepared: Sequence[Pixels8]) -> FloatArray:
        """Compute the features of images.

        Parameters
        ----------
        prepared
            n >= 1 images, each (crop, crop, 3) uint8.

        Returns
        -------
        FloatArray
            (n, d) float32.
        """
        return self._runner.run(self._forward, prepared)

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self._model(self._normalise(pixels))
        return features


class Runner:
    """Runs arrays of equal shape through a model in batches, on one device.

    Parameters
    ----------
    spec
        Encoder settings: device, precision and, on a GPU, the size of batches.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        limit_threads()
        self.device = select_device(spec.device)
        if spec.precision == "float32":
            # Otherwise convolutions on a GPU round the mantissas of their inputs to 10 bits.
            torch.backends.cudnn.allow_tf32 = False
        self._rows = CPU_ROWS if self.device.type == "cpu" else spec.batch_size

    @torch.inference_mode()
    def run(
        self,
        forward: Callable[[torch.Tensor], torch.Tensor],
        arrays: Sequence[npt.NDArray[Any]],
    ) -> FloatArray:
        """Run arrays through a model. On a CPU, a row's bits depend on its array alone.

        Parameters
        ----------
        forward
            Maps a batch, (B, ...) on the device, to features, (B, d).
        arrays
            n >= 1 arrays of equal shape and dtype.

        Returns
        -------
        FloatArray
            (n, d) float32.
        """
        parts = []
        for start in range(0, len(arrays), self._rows):
            batch = np.stack(arrays[start : start + self._rows])
            n = len(batch)
            if self.device.type == "cpu" and n < self._rows:
                batch = np.pad(batch, [(0, self._rows - n)] + [(0, 0)] * (batch.ndim - 1))
            features = forward(torch.from_numpy(batch).to(self.device))
            parts.append(features[:n].float().cpu().numpy())
        X: FloatArray = np.concatenate(parts)
        return X


@contextmanager
def loading(spec: EncoderSpec) -> Iterator[None]:
    """Turn errors of a library that loads weights into one error that names the weights.

    Parameters
    ----------
    spec
        Encoder whose ``model`` is being loaded.

    Yields
    ------
    None
        The body loads the model.

    Raises
    ------
    EnvironmentProblem
        If the library fails. The message quotes the first 300 characters of its error.
    SemDedupError
        If the body raises one. It is passed on unchanged.
    """
    try:
        yield
    except SemDedupError:
        raise
    except Exception as error:  # The type depends on the fault: pickle, zip, safetensors, torch.
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise EnvironmentProblem(
            "embed.model must name weights that fit the model, as safetensors or as a pickle "
            f"that holds only tensors. Got {spec.model!r}: {words}",
            hint="convert TorchScript (such as OpenAI's own .pt files) and whole pickled models: "
            "save_file(model.state_dict(), path) of safetensors.torch makes such a file.",
        ) from error


def example_pixels(side: int) -> Pixels8:
    """Make an image with edges, slopes and grain, on which a model's precision is checked.

    Parameters
    ----------
    side
        Side in pixels.

    Returns
    -------
    Pixels8
        (side, side, 3) uint8.
    """
    y, x = np.mgrid[:side, :side]
    grain = np.random.default_rng(0).integers(0, 64, (side, side, 3))
    pattern = np.stack([x * 191 // side, y * 191 // side, (x // 16 + y // 16) % 2 * 191], axis=2)
    return (pattern + grain).astype(np.uint8)


def normaliser(
    preprocessing: Preprocessing, device: torch.device, dtype: torch.dtype
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make a function that normalises pixels on the model's device.

    So only a quarter of the bytes is copied to the device. Channels stay last in memory, which
    makes convolutions faster.

    Parameters
    ----------
    preprocessing
        Mean and standard deviation of the channels.
    device
        Device of the model.
    dtype
        dtype of the result.

    Returns
    -------
    Callable
        Maps (B, H, W, 3) uint8 to (B, 3, H, W) of ``dtype``.
    """
    mean, std = (
        torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )

    def normalise(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.permute(0, 3, 1, 2).float() / 255 - mean).div_(std).to(dtype)

    return normalise
