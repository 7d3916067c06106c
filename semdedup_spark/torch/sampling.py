"""A sampler for map-style datasets: sharded over ranks, shuffled each epoch, resumable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler


class ShardedSampler(Sampler[int]):
    """Row positions of one rank in one epoch.

    All ranks use the same permutation. Rank r takes every ``world``-th place of it, starting at
    place r. All ranks get equally many rows.

    To resume, call ``load_state_dict(sampler.state_dict(consumed))``. ``consumed`` is the number of
    samples that this rank has trained on in this epoch, without those that a DataLoader has only
    read ahead.

    Parameters
    ----------
    n
        Rows of the dataset.
    rank
        Number of this process, from 0 to ``world - 1``.
    world
        Number of processes that train together.
    shuffle
        Whether the order is a random permutation, seeded by ``(seed, epoch)``.
    seed
        Seed of the permutations.
    drop_last
        If ``n`` is not a multiple of ``world``: leave out the last rows of the permutation
        (``True``), or repeat its first rows (``False``).

    Raises
    ------
    ValueError
        If ``rank`` is not below ``world``.
    """

    def __init__(
        self,
        n: int,
        *,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank must be from 0 to world - 1 ({world - 1}). Got {rank}.")
        self._n, self._rank, self._world = n, rank, world
        self._shuffle, self._seed, self._drop_last = shuffle, seed, drop_last
        self._each = n // world if drop_last else -(-n // world)
        self._epoch, self._done = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch at its start, in another order.

        Naming the current epoch again changes nothing, so that a loaded state stays valid.

        Parameters
        ----------
        epoch
            Number of the epoch.
        """
        if epoch != self._epoch:
            self._epoch, self._done = epoch, 0

    def state_dict(self, consumed: int) -> dict[str, int]:
        """Describe how far training has come in this epoch.

        Parameters
        ----------
        consumed
            Samples of this epoch that this rank has trained on.

        Returns
        -------
        dict[str, int]
            State for :meth:`load_state_dict`. It holds no rank: all ranks can resume from it.
        """
        return {"epoch": self._epoch, "consumed": consumed, **self._identity()}

    def _identity(self) -> dict[str, int]:
        """Everything that decides the order except the rank, as all ranks resume from one state."""
        world, shuffle, drop = self._world, int(self._shuffle), int(self._drop_last)
        return {
            "n": self._n,
            "seed": self._seed,
            "world": world,
            "shuffle": shuffle,
            "drop_last": drop,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume: the next iteration begins with the first sample that was not consumed.

        Parameters
        ----------
        state
            Result of :meth:`state_dict`.

        Raises
        ------
        ValueError
            If the state is of a sampler that gives another order.
        """
        own = self._identity()
        other = {name: state.get(name) for name in own}
        if own != other:
            raise ValueError(f"the state must be of the same sampler: {own}. Got {other}.")
        self._epoch, self._done = state["epoch"], state["consumed"]

    def __len__(self) -> int:
        return self._each - self._done

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self._n)
        if self._shuffle:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(self._n)
        places = self._rank + self._world * np.arange(self._each)
        own = order[places % max(self._n, 1)]
        yield from own[self._done :].tolist()
        self._done = 0
