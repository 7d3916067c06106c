"""A table read as it lies, in bounded memory: an iterable dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from semdedup_spark.tables.delta_files import (
    RowGroup,
    open_version,
    read_batches,
    require_columns,
)

Row = dict[str, Any]
_BATCH_ROWS = 256


class DeduplicatedStream(IterableDataset[Any]):
    """Rows of a Delta table at a version, each once an epoch, over all ranks and workers.

    In an epoch the table's row groups come in an order of their own, and the rows, in that order,
    are cut into ``world * num_workers`` runs of equal length but for one row: one for each worker.
    So every worker has work whatever the files are, and reads only the row groups that its
    run meets.

    ``shuffle``: the order of the row groups, and of the rows within a window of ``window`` rows
    that travels along a run, are random by ``(seed, epoch)``; memory holds the window and one
    batch. ``drop_uneven``: rows that do not divide by the number of runs are left out, so that
    ranks that wait for each other do not hang. Other parameters are those of
    :class:`DeduplicatedDataset`.

    It has no length, which would depend on the workers; ``n_rows`` is that of the table.

    Resuming. Iterated by hand, or by a loader that asks each worker (torchdata's
    ``StatefulDataLoader``): ``state_dict`` and ``load_state_dict``. With torch's own DataLoader, of
    which the main process only knows how many batches it got: ``resume_after``.
    """

    def __init__(
        self,
        location: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        transform: Callable[[Row], Any] | None = None,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        window: int = 4096,
        drop_uneven: bool = False,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank must be from 0 to world - 1 ({world - 1}). Got {rank}.")
        self._table = open_version(location, version)
        self._columns = list(self._table.columns if columns is None else columns)
        require_columns(self._table, self._columns)
        self._transform = transform
        self._rank, self._world, self._drop_uneven = rank, world, drop_uneven
        self._shuffle, self._seed, self._window = shuffle, seed, window
        self._epoch, self._done, self._given = 0, 0, 0
        self._batches: tuple[int, int, int] | None = None
        # What the main process said last, in memory that workers share: those that live on from
        # epoch to epoch have a copy of this object of their own, which nobody else can tell.
        self._said, self._through = _shared(5), _shared(1)
        self._heard = 0
        self.version, self.n_rows = self._table.version, len(self._table)

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch: another order, from its start; workers that persist hear of it. The
        epoch that it is in already goes on where a state or ``resume_after`` says, so that it may
        be named again.
        """
        if epoch != self._epoch:
            self._begin(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where this process is in its own run."""
        return {"epoch": self._epoch, "rows": self._given, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, in a process with the same rank and worker number."""
        self._refuse_another(state)
        self._begin(state["epoch"])
        self._done = self._given = state["rows"]

    def resume_after(self, epoch: int, batches: int, batch_size: int, num_workers: int) -> None:
        """The next DataLoader, with the same ``batch_size`` and ``num_workers``, goes on after the
        first ``batches`` batches of ``epoch`` that this rank got.
        """
        self._begin(epoch, (batches, batch_size, max(num_workers, 1)))
        # Once each of these workers is through, the epoch after it is whole again.
        self._through = _shared(max(num_workers, 1))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickled copy shares nothing with its original, but with workers of its own."""
        self.__dict__.update(state)
        for tensor in (self._said, self._through):
            tensor.share_memory_()  # type: ignore[no-untyped-call]

    def _begin(self, epoch: int, batches: tuple[int, int, int] | None = None) -> None:
        self._epoch, self._done, self._given, self._batches = epoch, 0, 0, batches
        if get_worker_info() is None:  # else it concerns this worker alone
            self._heard += 1
            self._said[:] = torch.tensor([self._heard, epoch, *(batches or (0, 0, 0))])

    def _hear(self) -> None:
        """In a worker: what the main process said since this one was made, or heard of it."""
        if get_worker_info() is None:
            return
        heard, epoch, *batches = self._said.tolist()
        if heard != self._heard:
            self._heard, self._epoch, self._done, self._given = heard, epoch, 0, 0
            self._batches = (batches[0], batches[1], batches[2]) if batches[2] else None

    def __iter__(self) -> Iterator[Any]:
        self._hear()
        if bool((self._through == self._heard).all()):
            self._batches = None
        number, workers = self._worker()
        worker = number
        done = self._done
        if self._batches is not None:
            worker, done = self._after_batches(worker, workers)
        first, last = self._run(worker, workers)
        rows = self._rows(first, last)
        if self._shuffle:
            seed = (self._seed, self._epoch, self._rank, worker)
            rows = shuffled(rows, self._window, np.random.default_rng(seed))
        self._given = done
        for row in islice(rows, done, None):
            self._given += 1
            yield row if self._transform is None else self._transform(row)
        self._done, self._batches = 0, None
        if number < len(self._through):
            self._through[number] = self._heard

    def _worker(self) -> tuple[int, int]:
        info = get_worker_info()
        return (0, 1) if info is None else (info.id, info.num_workers)

    def _after_batches(self, worker: int, workers: int) -> tuple[int, int]:
        """(whose run to go on with, rows of it already given): a DataLoader asks its workers in
        turn, beginning with worker 0, but the next batch is another one's turn.
        """
        batches, batch_size, expected = self._batches or (0, 0, workers)
        if workers != expected:
            raise ValueError(f"num_workers must be {expected}, as before. Got {workers}.")
        run = (worker + batches) % workers
        return run, batch_size * ((batches + workers - 1 - run) // workers)

    def _run(self, worker: int, workers: int) -> tuple[int, int]:
        """First and last place (exclusive) of a run in the epoch's order of rows. The longer runs
        come first among a rank's workers, so that its last batches come in turn as well.
        """
        n = len(self._table)
        runs = self._world * workers
        if self._drop_uneven:
            n -= n % runs
        number = worker * self._world + self._rank
        length, longer = divmod(n, runs)
        first = number * length + min(number, longer)
        return first, first + length + (number < longer)

    def _rows(self, first: int, last: int) -> Iterator[Row]:
        before = 0
        for group in self._order():
            start, stop = max(first - before, 0), min(last - before, group.n_rows)
            before += group.n_rows
            if start < stop:
                yield from islice(self._group(group, start), stop - start)

    def _group(self, group: RowGroup, start: int) -> Iterator[Row]:
        batches = read_batches(
            self._table, group, columns=self._columns, skip=start, batch_rows=_BATCH_ROWS
        )
        for batch in batches:
            yield from batch.to_pylist()

    def _order(self) -> list[RowGroup]:
        groups = self._table.row_groups
        if not self._shuffle:
            return list(groups)
        order = np.random.default_rng((self._seed, self._epoch)).permutation(len(groups))
        return [groups[i] for i in order]

    def _identity(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "n_rows": self.n_rows,
            "seed": self._seed,
            "world": self._world,
            "shuffle": self._shuffle,
            "window": self._window,
            "drop_uneven": self._drop_uneven,
        }

    def _refuse_another(self, state: dict[str, Any]) -> None:
        own = self._identity()
        other = {name: state.get(name) for name in own}
        if own != other:
            raise ValueError(f"the state must be of the same stream: {own}. Got {other}.")


def _shared(n: int) -> torch.Tensor:
    """N zeros in memory that processes share."""
    zeros = torch.zeros(n, dtype=torch.int64)
    zeros.share_memory_()  # type: ignore[no-untyped-call]
    return zeros


def shuffled(rows: Iterator[Row], window: int, random: np.random.Generator) -> Iterator[Row]:
    """The rows, each drawn at random from a window of the next ``window`` ones."""
    held = list(islice(rows, max(window, 1)))
    for row in rows:
        place = int(random.integers(len(held)))
        drawn, held[place] = held[place], row
        yield drawn
    for place in random.permutation(len(held)):
        yield held[place]
