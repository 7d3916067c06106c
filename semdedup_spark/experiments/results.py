"""The results of a sweep: a CSV file that grows by whole cells, and its summary."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from semdedup_spark.errors import ConfigError
from semdedup_spark.experiments.cells import SUBSET, Cell


@dataclass(frozen=True)
class Result:
    """One checkpoint of one cell.

    Attributes
    ----------
    method
        As in :class:`Cell`.
    n_clusters
        As in :class:`Cell`.
    ratio
        As in :class:`Cell`.
    seed
        As in :class:`Cell`.
    n_kept
        Number of rows that the model was trained on.
    copies_kept
        Share of planted copies that were kept, in [0, 1]. -1 if no copies were planted.
    steps
        Number of training steps.
    accuracy
        Share of the test rows that are classified correctly, in [0, 1].
    seconds
        Seconds of training so far.
    """

    method: str
    n_clusters: int
    ratio: float
    seed: int
    n_kept: int
    copies_kept: float
    steps: int
    accuracy: float
    seconds: float

    @property
    def cell(self) -> Cell:
        """The cell that was measured."""
        return Cell(self.n_clusters, self.seed, self.ratio, self.method)


_COLUMNS = [field.name for field in fields(Result)]
_TYPES = {"str": str, "int": int, "float": float}
_KINDS = {field.name: _TYPES[str(field.type)] for field in fields(Result)}


class ResultsFile:
    """The file ``results.csv`` of a sweep.

    Beside it, ``sweep.json`` keeps the settings that the results were made with. Cells of which a
    checkpoint is missing are removed from the file when it is opened.

    Parameters
    ----------
    folder
        Folder of both files. It is created if it does not exist.
    settings
        Settings of the sweep: plain values for JSON.
    checkpoints
        Numbers of steps that a complete cell has results for.

    Raises
    ------
    ConfigError
        If the folder holds results of other settings.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], checkpoints: Sequence[int]
    ) -> None:
        self.path = folder / "results.csv"
        folder.mkdir(parents=True, exist_ok=True)
        said = json.dumps(settings, sort_keys=True, indent=1)
        known = folder / "sweep.json"
        if known.exists() and known.read_text(encoding="utf-8") != said:
            before = json.loads(known.read_text(encoding="utf-8"))
            differ = [k for k in {*before, *settings} if before.get(k) != settings.get(k)]
            raise ConfigError(
                f"--output {folder} must hold results of these settings. It holds results of a "
                f"sweep that differs in: {', '.join(sorted(differ))}.",
                hint="give this sweep a folder of its own.",
            )
        if not known.exists():
            _write_whole(known, said)
        whole = _whole_cells(read_results(self.path), checkpoints)
        self._done = {result.cell for result in whole}
        text = io.StringIO(newline="")
        lines = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(map(asdict, whole))
        _write_whole(self.path, text.getvalue())

    def require_data(self, digest: str) -> None:
        """Refuse pictures other than those of the earlier results.

        Parameters
        ----------
        digest
            Digest of the pictures and labels. The first one is written to ``data.sha256``.

        Raises
        ------
        ConfigError
            If the folder holds results of other pictures.
        """
        known = self.path.with_name("data.sha256")
        if not known.exists():
            _write_whole(known, digest)
        elif known.read_text(encoding="utf-8") != digest:
            raise ConfigError(
                f"--output {known.parent} must hold results of these pictures. The files of the "
                "data set have changed since the sweep's first cell.",
                hint="give this sweep a folder of its own.",
            )

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """List the cells that have no results yet.

        Parameters
        ----------
        cells
            The cells that are wanted.

        Returns
        -------
        list of Cell
            Those without results, in the given order.
        """
        return [cell for cell in cells if cell not in self._done]

    def add(self, results: Sequence[Result]) -> None:
        """Append the results of one cell in a single call.

        Parameters
        ----------
        results
            One for each checkpoint of the cell.
        """
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, _COLUMNS, lineterminator="\n").writerows(map(asdict, results))
        self._done |= {result.cell for result in results}


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8", newline="")
    unfinished.replace(path)


def read_results(path: Path) -> list[Result]:
    """Read the complete lines of a results file.

    Parameters
    ----------
    path
        The file. It need not exist.

    Returns
    -------
    list of Result
        The results in file order. A last line that was cut off is left out.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    return [Result(**{name: _KINDS[name](row[name]) for name in _COLUMNS}) for row in rows]


def _whole_cells(results: Sequence[Result], checkpoints: Sequence[int]) -> list[Result]:
    steps = defaultdict(set)
    for result in results:
        steps[result.cell].add(result.steps)
    return [result for result in results if steps[result.cell] == set(checkpoints)]


@dataclass(frozen=True)
class Summary:
    """One method at one point of the sweep, over its seeds.

    Attributes
    ----------
    method
        As in :class:`Cell`.
    n_clusters
        As in :class:`Cell`.
    ratio
        As in :class:`Cell`.
    steps
        Number of training steps.
    n_seeds
        Number of seeds.
    n_kept
        Number of rows that the models were trained on.
    mean
        Mean accuracy, in [0, 1].
    deviation
        Sample standard deviation of the accuracy. 0 for one seed.
    gain
        Mean difference of the accuracy to a random subset of the same size and seed. NaN if there
        is no such subset.
    gain_error
        Standard error of ``gain``.
    copies_kept
        Mean share of planted copies that were kept. -1 if no copies were planted.
    seconds
        Mean seconds of training.
    """

    method: str
    n_clusters: int
    ratio: float
    steps: int
    n_seeds: int
    n_kept: int
    mean: float
    deviation: float
    gain: float
    gain_error: float
    copies_kept: float
    seconds: float


def summarise(results: Sequence[Result]) -> list[Summary]:
    """Summarise results over seeds.

    Parameters
    ----------
    results
        Results of any cells.

    Returns
    -------
    list of Summary
        One for each number of clusters, ratio, number of steps and method, in this sort order.
    """
    subset = {(r.ratio, r.steps, r.seed): r.accuracy for r in results if r.method == SUBSET}
    groups = defaultdict(list)
    for r in results:
        groups[(r.n_clusters, r.ratio, r.steps, r.method)].append(r)
    found = []
    for (n_clusters, ratio, steps, method), rows in sorted(groups.items()):
        accuracy = np.array([r.accuracy for r in rows])
        gains = [
            r.accuracy - subset[(ratio, steps, r.seed)]
            for r in rows
            if (ratio, steps, r.seed) in subset
        ]
        found.append(
            Summary(
                method=method,
                n_clusters=n_clusters,
                ratio=ratio,
                steps=steps,
                n_seeds=len(rows),
                n_kept=rows[0].n_kept,
                mean=float(accuracy.mean()),
                deviation=_deviation(accuracy),
                gain=float(np.mean(gains)) if gains else float("nan"),
                gain_error=_deviation(np.array(gains)) / max(len(gains), 1) ** 0.5,
                copies_kept=float(np.mean([r.copies_kept for r in rows])),
                seconds=float(np.mean([r.seconds for r in rows])),
            )
        )
    return found


def _deviation(values: Any) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
