"""What the studies share: scores against all pairs, kept sets of equal size, and their overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import numpy.typing as npt
from corpus import CACHE
from tables import OUT

from semdedup_spark.in_memory import VectorScores, score_vectors
from semdedup_spark.in_memory.prune import keep_least_similar

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Above any eps that is asked for. Within one cluster scores hold beyond it.
_HORIZON = 0.999
_Command = TypeVar("_Command", bound=Callable[..., Any])


def random_rank(n: int, seed: int = 0) -> IndexArray:
    """(n,) place of each row in a random order, the same one for every encoder."""
    return np.random.default_rng(seed).permutation(n)


def all_pairs(X: FloatArray, rank: IndexArray) -> VectorScores:
    """Scores by comparing every row with every other one: a single cluster."""
    return score_vectors(X, rank=rank, recall="cluster", n_clusters=1, eps_max=_HORIZON)


def removed_at(scores: FloatArray, kept_percent: float) -> Mask:
    """(n,) the rows with the highest scores, so that this percentage of all stays."""
    return ~keep_least_similar(scores, kept_percent)


def eps_at(scores: FloatArray, kept_percent: float) -> float:
    """The threshold that keeps this percentage of the rows, as far as scores differ."""
    return 1.0 - float(np.quantile(scores.astype(np.float64), kept_percent / 100))


def shared(a: Mask, b: Mask) -> float:
    """Share of the rows of ``a`` that ``b`` has, too."""
    return float((a & b).sum() / max(a.sum(), 1))


def shown(text: str, width: int = 60) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def study_options(rows: int) -> Callable[[_Command], _Command]:
    """Options of every study: how many texts, where vectors are kept, where results go."""

    def add(command: _Command) -> _Command:
        for option in (
            click.option("--rows", type=int, default=rows, show_default=True),
            click.option("--cache", type=click.Path(path_type=Path), default=CACHE),
            click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True),
        ):
            command = option(command)
        return command

    return add
