"""Seconds of whole commands, from a cold start to the end, beside a script in memory.

``python benchmarks/whole.py --n 1000000 --small 20000 --repeats 3``

Each repeat runs, one after the other: the script (``whole_script.py``); `semdedup run` into a new
output; the same command again; the command for 100 rows more; and the command over a small table.
For each kind of ``--write`` the source is what it needs: Parquet for ``table``, else Delta.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from measuring import PeakMemory, print_repeats, print_table, write_json
from vectors import CACHE, DATA, FloatArray, base_vectors, enlarged_chunks

EPS, NIGHT = 0.05, 100
_LETTERS = 120  # of hexadecimal text beside each vector
_ROW_GROUP = 8192
Figures = defaultdict[str, list[float]]


@dataclass(frozen=True)
class Measured:
    """Of one command: wall-clock and processor seconds, peak resident GiB, what it printed."""

    seconds: float
    processor: float
    gib: float
    said: str


def timed(command: Sequence[str]) -> Measured:
    """Run a command to its end."""
    begun = time.perf_counter()
    child = psutil.Popen([*command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with PeakMemory(child.pid, every=0.2) as memory:
        said, errors = child.communicate()
    seconds = time.perf_counter() - begun
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {errors[-2000:]}")
    peak = max((total for total, _, _ in memory.peaks.values()), default=0)
    return Measured(seconds, 0.0, peak / 2**30, said)


def with_processor(command: Sequence[str]) -> Measured:
    """The same, with the processor seconds of the process and all its children."""
    before = os.times()
    found = timed(command)
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Measured(found.seconds, used, found.gib, found.said)


def written(chunks: Iterable[FloatArray], folder: Path) -> Iterator[int]:
    """Write chunks of vectors as Parquet files with ids that count on and texts of their own."""
    folder.mkdir(parents=True)
    random, first = np.random.default_rng(0), 0
    for part, X in enumerate(chunks):
        _write(X, first, folder / f"part-{part:05d}.parquet", random)
        first += len(X)
        yield first


def _write(X: FloatArray, first: int, file: Path, random: np.random.Generator) -> None:
    offsets = pa.array(np.arange(0, X.size + 1, X.shape[1], dtype=np.int32))
    texts = [random.bytes(_LETTERS // 2).hex() for _ in X]
    columns = {
        "id": pa.array(np.arange(first, first + len(X))),
        "text": pa.array(texts),
        "v": pa.ListArray.from_arrays(offsets, pa.array(X.reshape(-1))),
    }
    pq.write_table(pa.table(columns), file, row_group_size=_ROW_GROUP)


def as_delta(source: Path, table: Path) -> None:
    """The same rows as a Delta table, written by a process of its own."""
    code = (
        "import sys; from semdedup_spark import open_session\n"
        "rows = open_session().read.parquet(sys.argv[1])\n"
        "rows.write.format('delta').mode(sys.argv[3]).save(sys.argv[2])"
    )
    mode = "append" if table.exists() else "error"
    subprocess.run([sys.executable, "-c", code, source, table, mode], check=True)


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@dataclass(frozen=True)
class Way:
    """One way to run the job: its job file, and where its source and its tables lie."""

    place: Path
    write: str
    k: int | str

    @property
    def source(self) -> Path:
        return self.place / ("source" if self.write == "table" else "delta")

    def command(self) -> list[str]:
        form = "parquet" if self.write == "table" else "delta"
        source = {"kind": "vectors", "format": form, "path": str(self.source)}
        job = {
            "output": str(self.output),
            "source": {**source, "id": "id", "content": "v"},
            "embed": {"encoder": "none"},
            "cluster": {"n_clusters": self.k},
            "select": {"eps": EPS, "write": self.write},
        }
        file = self.place / f"{self.write}.yml"
        file.write_text(yaml.safe_dump(job))
        return [str(Path(sys.executable).with_name("semdedup")), "run", "--config", str(file)]

    @property
    def output(self) -> Path:
        return self.place / f"output-{self.write}"


def prepared(place: Path, n: int, base: FloatArray, writes: Sequence[str]) -> None:
    """Write the sources, unless an earlier run has."""
    if not (place / "source").exists():
        unfinished = place / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        chunks = list(written(enlarged_chunks(base, n + NIGHT), unfinished))
        rows = pq.read_table(unfinished)
        shutil.rmtree(unfinished)
        unfinished.mkdir()
        for part, begin in enumerate(range(0, n, -(-n // len(chunks)))):
            some = rows.slice(begin, min(-(-n // len(chunks)), n - begin))
            file = unfinished / f"part-{part:05d}.parquet"
            pq.write_table(some, file, row_group_size=_ROW_GROUP)
        (place / "night").mkdir(exist_ok=True)
        pq.write_table(rows.slice(n), place / "night" / "night.parquet")
        unfinished.replace(place / "source")
    if set(writes) - {"table"} and not (place / "delta").exists():
        as_delta(place / "source", place / "delta")


def repeat(place: Path, way: Way, figures: Figures, label: str) -> None:
    """The command into a new output, again, and for a night's rows; the source is put back."""
    shutil.rmtree(way.output, ignore_errors=True)
    command = way.command()
    for what in ("first run", "again", f"{NIGHT} new rows"):
        before = bytes_of(way.output)
        if what == f"{NIGHT} new rows":
            _add_night(place, way)
        found = with_processor(command)
        name = f"{label}, {what}"
        figures[f"{name}: s"].append(found.seconds)
        figures[f"{name}: processor s"].append(found.processor)
        figures[f"{name}: peak GiB"].append(found.gib)
        figures[f"{name}: MB written"].append((bytes_of(way.output) - before) / 1e6)
    _take_night_away(place, way)


def _add_night(place: Path, way: Way) -> None:
    if way.write == "table":
        shutil.copy(place / "night" / "night.parquet", way.source / "night.parquet")
    else:
        shutil.copytree(way.source, place / "before")
        as_delta(place / "night", way.source)


def _take_night_away(place: Path, way: Way) -> None:
    if way.write == "table":
        (way.source / "night.parquet").unlink()
    else:
        shutil.rmtree(way.source)
        (place / "before").replace(way.source)


def script(place: Path, k: int, figures: Figures) -> None:
    output = place / "output-script"
    shutil.rmtree(output, ignore_errors=True)
    program = str(Path(__file__).with_name("whole_script.py"))
    options = [f"--source={place / 'source'}", f"--output={output}", f"--k={k}", f"--eps={EPS}"]
    found = with_processor([sys.executable, program, *options])
    figures["script: s"].append(found.seconds)
    figures["script: peak GiB"].append(found.gib)
    said = json.loads(found.said.splitlines()[-1])
    figures["script: rows kept"].append(said["kept"])
    for part, seconds in said["seconds"].items():
        figures[f"script, {part}: s"].append(seconds)


@click.command(help=__doc__)
@click.option("--n", type=int, default=1_000_000, show_default=True)
@click.option("--small", type=int, default=20_000, show_default=True, help="0: leave it out")
@click.option("--k", type=int, help="clusters; by default the square root of n")
@click.option("--write", "writes", type=click.Choice(["table", "clone", "none"]), multiple=True,
              default=["table"], show_default=True)  # fmt: skip
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(
    n: int,
    small: int,
    k: int | None,
    writes: tuple[str, ...],
    repeats: int,
    cache: Path,
    data: Path,
    json_path: Path | None,
) -> None:
    base, k = base_vectors(cache, data), k or math.isqrt(n)
    places = {size: cache / "whole" / str(size) for size in (n, small) if size}
    for size, place in places.items():
        prepared(place, size, base, writes if size == n else ["table"])
    figures: Figures = defaultdict(list)
    for turn in range(repeats):
        print(f"repeat {turn + 1} of {repeats}", flush=True)
        script(places[n], k, figures)
        for write in writes:
            repeat(places[n], Way(places[n], write, k), figures, write)
        if small:
            way = Way(places[small], "table", "auto")
            repeat(places[small], way, figures, f"{small:,} rows")
    print_repeats(f"whole commands: {n:,} x {base.shape[1]}, k = {k:,}", figures)
    print_table("least seconds beside the script's, and bytes", *ratios(figures, places[n], writes))
    write_json(json_path, {"n": n, "k": k, "figures": dict(figures)})


def ratios(
    figures: Figures, place: Path, writes: Sequence[str]
) -> tuple[list[str], list[list[object]]]:
    """The goals' rows: header, and one row for each way to write."""
    own, rows = min(figures["script: s"]), []
    source = bytes_of(place / "source") / 1e6
    for write in writes:
        first = min(figures[f"{write}, first run: s"])
        night = min(figures[f"{write}, {NIGHT} new rows: s"])
        share = min(figures[f"{write}, first run: MB written"]) / source
        rows.append([write, first / own, night / first, share])
    return ["write", "run / script", "night / run", "bytes written / source"], rows


if __name__ == "__main__":
    main()
