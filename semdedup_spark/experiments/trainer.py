"""Train a small classifier for a number of steps, and measure its accuracy on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler


class ArrayRows(Dataset[Any]):
    """Dataset of pictures and labels in memory.

    Parameters
    ----------
    pixels
        (n, h, w) or (n, h, w, c) uint8.
    labels
        (n,) int64. Class of each picture.
    """

    def __init__(self, pixels: Any, labels: Any) -> None:
        # torch warns about arrays that are read-only, such as those mapped from a file.
        self.pixels, self.labels = (
            torch.as_tensor(np.require(array, requirements=["C", "W"]))
            for array in (pixels, labels)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pixels[row], self.labels[row]

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a whole batch as tensors. It needs :func:`as_it_is` as ``collate_fn``.

        Parameters
        ----------
        rows
            b positions of rows.

        Returns
        -------
        tuple of torch.Tensor
            (b, h, w) or (b, h, w, c) uint8 pictures, and their (b,) int64 labels.
        """
        return self.pixels[rows], self.labels[rows]


def as_it_is(batch: Any) -> Any:
    """Return a batch unchanged: the ``collate_fn`` for rows that already come as a batch.

    Parameters
    ----------
    batch
        Any batch.

    Returns
    -------
    Any
        The same batch.
    """
    return batch


class EndlessBatches(Sampler[list[int]]):
    """Sampler of batches of equal size, from epochs that follow each other.

    Each epoch has an order of its own. A batch may cross the border of two epochs, so a step costs
    the same even if there are few rows.

    Parameters
    ----------
    n_rows
        Number of rows, at least 1.
    batch_size
        Rows per batch.
    n_batches
        Number of batches.
    seed
        Random seed of the orders.
    """

    def __init__(self, n_rows: int, batch_size: int, n_batches: int, seed: int) -> None:
        self._n_rows, self._batch_size = n_rows, batch_size
        self._n_batches, self._seed = n_batches, seed

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng(self._seed)
        waiting: list[int] = []
        for _ in range(self._n_batches):
            while len(waiting) < self._batch_size:
                waiting += random.permutation(self._n_rows).tolist()
            yield waiting[: self._batch_size]
            waiting = waiting[self._batch_size :]


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training.

    Attributes
    ----------
    checkpoints
        Numbers of steps after which accuracy is measured, ascending. Training ends after the last.
    batch_size
        Rows per step.
    learning_rate
        Learning rate of Adam. It is constant, so a checkpoint equals the end of a training of that
        length.
    """

    checkpoints: tuple[int, ...] = (200, 500, 1000)
    batch_size: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Checkpoint:
    """What was measured after a number of steps.

    Attributes
    ----------
    steps
        Number of steps.
    accuracy
        Share of the test rows that are classified correctly, in [0, 1].
    seconds
        Seconds of training so far. They include loading rows but not measuring accuracy.
    """

    steps: int
    accuracy: float
    seconds: float


def train(
    rows: Dataset[Any],
    test: ArrayRows,
    build: Callable[[], nn.Module],
    settings: TrainSettings,
    *,
    seed: int,
    collate: Callable[[Any], Any] | None = as_it_is,
    device: str = "cpu",
) -> list[Checkpoint]:
    """Train a model, and measure its accuracy at each checkpoint.

    Parameters
    ----------
    rows
        Map-style dataset of (uint8 picture, label).
    test
        Test rows.
    build
        Function that builds the model.
    settings
        Checkpoints, batch size and learning rate.
    seed
        Random seed of the model's first weights and of the order of the rows.
    collate
        ``collate_fn`` of the data loader. The default is for rows that come as batches.
    device
        Name of a torch device.

    Returns
    -------
    list of Checkpoint
        One for each checkpoint, ascending.

    Notes
    -----
    Seconds of two trainings are comparable if all else is equal, including the kind of ``rows``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build().to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    n_rows = len(rows)  # type: ignore[arg-type]
    batches = EndlessBatches(n_rows, settings.batch_size, settings.checkpoints[-1], seed)
    loader = DataLoader(rows, batch_sampler=batches, collate_fn=collate)
    found: list[Checkpoint] = []
    seconds, clock = 0.0, time.perf_counter()
    for step, (pixels, labels) in enumerate(loader, start=1):
        loss = nn.functional.cross_entropy(model(pixels.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step in settings.checkpoints:
            loss.item()  # waits for the GPU's queue, which is work of these steps
            seconds += time.perf_counter() - clock
            found.append(Checkpoint(step, accuracy(model, test, device), seconds))
            clock = time.perf_counter()
    return found


@torch.inference_mode()
def accuracy(model: nn.Module, test: ArrayRows, device: str = "cpu", batch: int = 1000) -> float:
    """Compute the share of the test rows whose most likely class is the right one.

    The model is left in training mode.

    Parameters
    ----------
    model
        Model from uint8 pictures to logits.
    test
        Test rows.
    device
        Name of the torch device that the model is on.
    batch
        Rows per call of the model.

    Returns
    -------
    float
        Share in [0, 1]; 0 if there are no test rows.
    """
    model.eval()
    right = 0
    for start in range(0, len(test), batch):
        pixels, labels = test.__getitems__(list(range(start, min(start + batch, len(test)))))
        right += int((model(pixels.to(device)).argmax(dim=1).cpu() == labels).sum())
    model.train()
    return right / max(len(test), 1)
