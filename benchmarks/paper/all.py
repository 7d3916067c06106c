"""All studies, one after the other, and their figures.

``python benchmarks/paper/all.py --small``: under half an hour on two slow cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baselines
import click
import efficiency
import figures
import growth
import images
import language
import models
import robust_encoder
import robust_k
from corpus import CACHE
from tables import OUT

# Study: (its command, rows of the small form, rows of the full one).
STUDIES: dict[str, tuple[click.Command, int, int]] = {
    "1 robustness to the encoder": (robust_encoder.main, 4000, 6000),
    "2 robustness to k": (robust_k.main, 10_000, 63_956),
    "3 efficiency": (efficiency.main, 10_000, 63_956),
    "4 baselines": (baselines.main, 10_000, 63_956),
    "5 language model, n-gram": (language.main, 10_000, 63_956),
    "5 language model, transformer": (language.main, 4000, 10_000),
    "6 images": (images.main, 1000, 5000),
    "7 growth with the corpus": (growth.main, 10_000, 63_956),
}
MORE = {"5 language model, transformer": ["--model", "transformer"]}
# What else the small form leaves out.
_ONE_SEED = ["--seeds", "1", "--kept", "80", "--kept", "50"]
SMALLER = {
    "5 language model, transformer": [*_ONE_SEED, "--budget", "steps"],
    "6 images": _ONE_SEED,
}


@click.command(help=__doc__)
@click.option("--small/--full", default=True, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(small: bool, cache: Path, out: Path) -> None:
    begun = time.monotonic()

    def run(what: str, command: Callable[..., Any], arguments: list[str]) -> None:
        print(f"== {what} ({(time.monotonic() - begun) / 60:.0f} min so far)", flush=True)
        command(arguments, standalone_mode=False)

    if models.DATA.is_dir():
        run("the encoders on STS-B", models.main, ["--cache", str(cache)])
    for name, (command, few, all_rows) in STUDIES.items():
        rows = str(few if small else all_rows)
        options = [*MORE.get(name, []), *(SMALLER.get(name, []) if small else [])]
        run(name, command, ["--rows", rows, "--cache", str(cache), "--out", str(out), *options])
    run("figures", figures.main, ["--results", str(out)])
    print(f"done in {(time.monotonic() - begun) / 60:.0f} min; tables and figures are in {out}")


if __name__ == "__main__":
    main()
