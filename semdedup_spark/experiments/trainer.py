"""Train a small classifier for a number of steps, looking at it on the way."""

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
    """Pictures and labels in memory. ``pixels``: (n, ...) uint8; ``labels``: (n,) int64."""

    def __init__(self, pixels: Any, labels: Any) -> None:
        # torch warns of arrays that cannot be written to, such as those of a file.
        self.pixels, self.labels = (
            torch.as_tensor(np.require(array, requirements=["C", "W"]))
            for array in (pixels, labels)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pixels[row], self.labels[row]

    def __getitems__(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """A whole batch, as tensors; goes with :func:`as_it_is`."""
        return self.pixels[rows], self.labels[rows]


def as_it_is(batch: Any) -> Any:
    """The ``collate_fn`` of rows that come as a batch."""
    return batch


class EndlessBatches(Sampler[list[int]]):
    """``n_batches`` batches of equal size from epochs one after another, each in its own order.

    A batch may cross the border of two epochs, so that a step costs the same however few rows
    there are.
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
    """``checkpoints``: steps after which accuracy is measured, ascending; the last one ends it.
    ``learning_rate``: of Adam, constant, so that a checkpoint is what a run of that length gives.
    """

    checkpoints: tuple[int, ...] = (200, 500, 1000)
    batch_size: int = 64
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Checkpoint:
    """``accuracy``: on the test rows, in [0, 1]; ``seconds``: of training until here, loading
    included, measuring not.
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
    """Accuracy at each checkpoint. ``rows``: map-style, giving pictures as uint8 and labels;
    ``seed``: of the model's first weights and of the order of the rows.

    Everything else being equal (same kind of ``rows``), seconds of two trainings can be compared.
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
            loss.item()  # waits for a GPU's queue, which is work of these steps
            seconds += time.perf_counter() - clock
            found.append(Checkpoint(step, accuracy(model, test, device), seconds))
            clock = time.perf_counter()
    return found


@torch.inference_mode()
def accuracy(model: nn.Module, test: ArrayRows, device: str = "cpu", batch: int = 1000) -> float:
    """Share of the test rows whose most likely class is their own."""
    model.eval()
    right = 0
    for start in range(0, len(test), batch):
        pixels, labels = test.__getitems__(list(range(start, min(start + batch, len(test)))))
        right += int((model(pixels.to(device)).argmax(dim=1).cpu() == labels).sum())
    model.train()
    return right / max(len(test), 1)
