"""Which row comes when, for a map-style dataset: shared by ranks, shuffled by epoch, resumable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler


class ShardedSampler(Sampler[int]):
    """Positions of one rank in one epoch.

    ``n``: rows of the dataset; ``shuffle``: by ``(seed, epoch)``, the same permutation on all
    ranks, of which rank r takes each ``world``-th place from r on. All ranks get equally many:
    with ``drop_last`` the last few rows of the permutation are left out, without it the first
    are seen again (no row twice where ``n`` is a multiple of ``world``).

    To resume, ``load_state_dict(sampler.state_dict(consumed))`` with the samples that this rank has
    trained on in this epoch; what a DataLoader has read ahead does not count.
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
        """Begin another epoch: another order, from its start. The epoch that it is in already goes
        on where a state says, so that it may be named again.
        """
        if epoch != self._epoch:
            self._epoch, self._done = epoch, 0

    def state_dict(self, consumed: int) -> dict[str, int]:
        """Where training is, after ``consumed`` samples of this epoch on this rank."""
        return {"epoch": self._epoch, "consumed": consumed, **self._identity()}

    def _identity(self) -> dict[str, int]:
        """What gives a rank its order, but for the rank: ranks go on from one state."""
        world, shuffle, drop = self._world, int(self._shuffle), int(self._drop_last)
        return {
            "n": self._n,
            "seed": self._seed,
            "world": world,
            "shuffle": shuffle,
            "drop_last": drop,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there: the next iteration begins with the first sample not consumed. Raises
        ``ValueError`` for the state of a sampler that gives another order.
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
