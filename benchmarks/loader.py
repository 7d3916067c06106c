"""Pictures a second that a DataLoader gives: our datasets over Delta against torchvision's.

``python benchmarks/loader.py --repeats 5``
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch
from deltalake import write_deltalake
from measuring import print_repeats, print_table, write_json
from torch.utils.data import DataLoader
from torchvision.datasets import FashionMNIST
from torchvision.transforms import PILToTensor

from semdedup_spark.datasets import load_images
from semdedup_spark.datasets.pictures import picture_rows
from semdedup_spark.torch import (
    DeduplicatedDataset,
    DeduplicatedStream,
    ShardedSampler,
    image_and_label,
)

Loader = DataLoader[Any]
_COLUMNS = ["image", "label"]


def loaders(folder: Path, data: Path, batch: int) -> dict[str, Callable[[int], Loader]]:
    """By name, what makes a loader with so many workers. All give shuffled batches of
    (n, 1, 28, 28) uint8 and (n,) labels of the 10,000 test pictures of Fashion-MNIST.
    """
    table = str(folder / "table")
    write_deltalake(table, picture_rows(load_images("fmnist", data, "test", fetch=False)))
    unpack(data / "fashion_mnist", folder / "FashionMNIST" / "raw")
    to_tensors = image_and_label(mode="L")
    ours = DeduplicatedDataset(table, columns=_COLUMNS, key="id", transform=to_tensors)
    theirs = FashionMNIST(str(folder), train=False, transform=PILToTensor())
    stream = DeduplicatedStream(table, columns=_COLUMNS, transform=to_tensors)

    def in_order(rows: Any) -> Callable[[int], Loader]:
        sampler = ShardedSampler(len(rows), seed=0)
        return lambda n: DataLoader(rows, batch_size=batch, sampler=sampler, num_workers=n)

    return {
        "torchvision": in_order(theirs),
        "DeduplicatedDataset": in_order(ours),
        "DeduplicatedDataset.held()": in_order(ours.held()),
        "DeduplicatedStream": lambda n: DataLoader(stream, batch_size=batch, num_workers=n),
    }


def unpack(source: Path, target: Path) -> None:
    """The idx files as torchvision leaves them after a download; it wants to see those of both
    splits, of which it reads one.
    """
    target.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (target / name).touch()
    for path in source.glob("*-ubyte.gz"):
        (target / path.stem).write_bytes(gzip.decompress(path.read_bytes()))


def rate(loader: Loader) -> tuple[float, int]:
    """(pictures a second over one epoch, start of the workers included; sum of all labels)."""
    begun, n, check = time.perf_counter(), 0, 0
    for pictures, labels in loader:
        n += len(pictures)
        check += int(labels.sum())
    return n / (time.perf_counter() - begun), check


def measured(made: dict[str, Callable[[int], Loader]], workers: int, repeats: int) -> Rates:
    """They take turns; the first round, which warms caches, does not count."""
    found: Rates = {name: [] for name in made}
    for repeat in range(repeats + 1):
        rates = {name: rate(make(workers)) for name, make in made.items()}
        assert len({check for _, check in rates.values()}) == 1  # all gave the same rows
        if repeat:
            for name, (pictures, _) in rates.items():
                found[name].append(pictures)
    return found


Rates = dict[str, list[float]]


def ratios(found: Rates) -> Iterator[list[Any]]:
    """Of each dataset: seconds of torchvision's over its own, at the best and the median."""
    for name, rates in found.items():
        if name != "torchvision":
            theirs = found["torchvision"]
            middle = len(rates) // 2
            yield [name, max(rates) / max(theirs), sorted(rates)[middle] / sorted(theirs)[middle]]


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--batch", default=64, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--workers", default=(0, 2), show_default=True, multiple=True)
@click.option("--threads", default=1, show_default=True, help="Of torch, in the main process.")
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(
    data: Path,
    batch: int,
    repeats: int,
    workers: tuple[int, ...],
    threads: int,
    json_file: Path | None,
) -> None:
    """See the module."""
    torch.set_num_threads(threads)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        made = loaders(Path(scratch), data, batch)
        for n in workers:
            found = measured(made, n, repeats)
            print_repeats(f"pictures/s, batches of {batch}, {n} workers", found)
            print_table("faster than torchvision, times", ["", "best", "median"], [*ratios(found)])
            results[f"workers_{n}"] = found
    write_json(json_file, results)


if __name__ == "__main__":
    main()
