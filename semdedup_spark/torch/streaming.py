"""An iterable torch dataset that reads a table row group by row group, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from semdedup_spark.tables.delta_files import RowGroup, open_version, require_columns
from semdedup_spark.torch.copies import key_of, many_copies
from semdedup_spark.torch.runs import Row, rows_between
from semdedup_spark.torch.shuffle_window import shuffled


class DeduplicatedStream(IterableDataset[Any]):
    """Rows of a Delta table at one version. Each row comes once an epoch, over all ranks.

    Each epoch orders the table's row groups anew. The rows in that order are cut into
    ``world * num_workers`` runs, one for each worker. The lengths of runs differ by one row at
    most. So every worker has work however the table is split into files, and a worker reads only
    the row groups that its run overlaps. Memory holds the shuffle window and one batch.

    With ``assignment`` memory also holds 16 bytes for each row that stands for more than one: its
    place in the table, and its copies. No ids are held, because a version's rows have fixed places.
    Opening the stream reads the ids of both tables once, to find these places and to refuse rows
    that are not kept, and lets them go. Workers take over what was found.

    The stream has no length, because a length would depend on the workers. The attribute ``n_rows``
    is the number of rows of the table, ``version`` the version that was read. Raises
    :class:`SourceError` where the table, the version or a column does not exist, or where the table
    uses a feature that needs Spark.

    To resume when iterating by hand, or with a loader that asks each worker for its state
    (torchdata's ``StatefulDataLoader``), use ``state_dict`` and ``load_state_dict``. To resume with
    torch's own DataLoader, whose main process knows only how many batches it got, use
    ``resume_after``.

    Parameters
    ----------
    location
        Directory or URI of the table, such as ``/lake/dedup/deduplicated``.
    version
        Version of the table. ``None`` takes the newest.
    columns
        Columns to read. ``None`` reads all.
    key
        Column of the ids, for ``assignment``. ``None`` takes ``id`` if there is such a column.
    transform
        Called with each row as a dict. Its result is the item.
    assignment
        Directory or URI of the table ``assignment`` of the same selection. Each row then has
        ``copies``, the number of rows that it stands for: a weight for its loss.
    rank
        Number of this process, from 0 to ``world - 1``.
    world
        Number of processes that train together.
    shuffle
        Whether the order is random, seeded by ``(seed, epoch)``: of the row groups, and of the rows
        within a window that moves along a run.
    seed
        Seed of the random orders.
    window
        Rows in the shuffle window.
    drop_uneven
        Whether to leave out the rows that do not divide evenly among the runs, so that ranks that
        wait for each other do not hang.

    Raises
    ------
    ValueError
        If ``rank`` is not below ``world``.
    """

    def __init__(
        self,
        location: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        key: str | None = None,
        transform: Callable[[Row], Any] | None = None,
        assignment: str | None = None,
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
        key = key if assignment is None else key_of(self._table, key)
        extra = [] if key is None or key in self._columns else [key]
        require_columns(self._table, [*self._columns, *extra])
        self._copies = None if assignment is None else many_copies(assignment, self._table, key)
        self._transform = transform
        self._rank, self._world, self._drop_uneven = rank, world, drop_uneven
        self._shuffle, self._seed, self._window = shuffle, seed, window
        self._epoch, self._done, self._given = 0, 0, 0
        self._batches: tuple[int, int, int] | None = None
        # What the main process announced last, in memory that it shares with the workers. It can
        # reach a persistent worker in no other way: such a worker has its own copy of this object.
        self._announced, self._finished = _shared(5), _shared(1)
        self._followed = 0
        self.version, self.n_rows = self._table.version, len(self._table)

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch at its start, in another order. Persistent workers follow.

        Naming the current epoch again changes nothing, so that a loaded state, or a position set by
        ``resume_after``, stays valid.

        Parameters
        ----------
        epoch
            Number of the epoch.
        """
        if epoch != self._epoch:
            self._begin(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Describe how far this process has come in its run.

        Returns
        -------
        dict[str, Any]
            State for :meth:`load_state_dict`.
        """
        return {"epoch": self._epoch, "rows": self._given, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume, in a process with the same rank and worker number.

        Raises ``ValueError`` for the state of a stream that gives another order.

        Parameters
        ----------
        state
            Result of :meth:`state_dict`.
        """
        self._refuse_another(state)
        self._begin(state["epoch"])
        self._done = self._given = state["rows"]

    def resume_after(self, epoch: int, batches: int, batch_size: int, num_workers: int) -> None:
        """Let the next DataLoader of this rank continue after the batches that it already got.

        That DataLoader must have the same ``batch_size`` and ``num_workers``. Iterating with
        another number of workers raises ``ValueError``.

        Parameters
        ----------
        epoch
            Number of the epoch to continue.
        batches
            Batches of this epoch that this rank got.
        batch_size
            Rows in a batch.
        num_workers
            Workers of the DataLoader. 0 means the main process.
        """
        self._begin(epoch, (batches, batch_size, max(num_workers, 1)))
        # The next epoch is whole again once each of these workers has finished this one.
        self._finished = _shared(max(num_workers, 1))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled copy. It shares memory with its own workers, not with its original.

        Parameters
        ----------
        state
            Attributes of the pickled stream.
        """
        self.__dict__.update(state)
        for tensor in (self._announced, self._finished):
            tensor.share_memory_()  # type: ignore[no-untyped-call]

    def _begin(self, epoch: int, batches: tuple[int, int, int] | None = None) -> None:
        self._epoch, self._done, self._given, self._batches = epoch, 0, 0, batches
        if get_worker_info() is None:  # In a worker, the position concerns this worker alone.
            self._followed += 1
            self._announced[:] = torch.tensor([self._followed, epoch, *(batches or (0, 0, 0))])

    def _follow_announcement(self) -> None:
        """In a worker, take over what the main process has announced since the last call."""
        if get_worker_info() is None:
            return
        number, epoch, *batches = self._announced.tolist()
        if number != self._followed:
            self._followed, self._epoch, self._done, self._given = number, epoch, 0, 0
            self._batches = (batches[0], batches[1], batches[2]) if batches[2] else None

    def __iter__(self) -> Iterator[Any]:
        self._follow_announcement()
        if bool((self._finished == self._followed).all()):
            self._batches = None
        number, workers = self._worker()
        worker = number
        done = self._done
        if self._batches is not None:
            worker, done = self._after_batches(worker, workers)
        first, last = self._run(worker, workers)
        rows = rows_between(
            self._table, self._order(), first, last, columns=self._columns, copies=self._copies
        )
        if self._shuffle:
            seed = (self._seed, self._epoch, self._rank, worker)
            rows = shuffled(rows, self._window, np.random.default_rng(seed))
        self._given = done
        for row in islice(rows, done, None):
            self._given += 1
            yield row if self._transform is None else self._transform(row)
        self._done, self._batches = 0, None
        if number < len(self._finished):
            self._finished[number] = self._followed

    def _worker(self) -> tuple[int, int]:
        info = get_worker_info()
        return (0, 1) if info is None else (info.id, info.num_workers)

    def _after_batches(self, worker: int, workers: int) -> tuple[int, int]:
        """Return (worker whose run to continue, rows of that run already given).

        A new DataLoader asks its workers in turn, beginning with worker 0. The next batch however
        may be the turn of another worker's run, so the runs are shifted among the workers.
        """
        batches, batch_size, expected = self._batches or (0, 0, workers)
        if workers != expected:
            raise ValueError(f"num_workers must be {expected}, as before. Got {workers}.")
        run = (worker + batches) % workers
        return run, batch_size * ((batches + workers - 1 - run) // workers)

    def _run(self, worker: int, workers: int) -> tuple[int, int]:
        """Return the first and last (exclusive) place of a run in the epoch's order of rows.

        The longer runs come first among a rank's workers, so that also the last batches come in
        turn.
        """
        n = len(self._table)
        runs = self._world * workers
        if self._drop_uneven:
            n -= n % runs
        number = worker * self._world + self._rank
        length, longer = divmod(n, runs)
        first = number * length + min(number, longer)
        return first, first + length + (number < longer)

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
    """Make n int64 zeros in memory that processes share."""
    zeros = torch.zeros(n, dtype=torch.int64)
    zeros.share_memory_()  # type: ignore[no-untyped-call]
    return zeros
