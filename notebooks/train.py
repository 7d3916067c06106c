# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Training on what is left
#
# Does a selection keep what a model learns from? Only a comparison with a random subset tells: of
# the same size, with the same loader, the same number of steps and the same seeds.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Image as Shown
from IPython.display import display
from torch.utils.data import Subset

from semdedup_spark.cli import cli
from semdedup_spark.datasets import load_images
from semdedup_spark.experiments import (
    ArrayRows,
    Checkpoint,
    TrainSettings,
    model_for,
    read_results,
    summarise,
    train,
)
from semdedup_spark.torch import DeduplicatedDataset, stacked_pictures

ROOT = os.environ.get("SEMDEDUP_DATA", "data")
LIMIT = os.environ.get("SEMDEDUP_LIMIT")
SEEDS = int(os.environ.get("SEMDEDUP_SEEDS", "5"))
STEPS = os.environ.get("SEMDEDUP_STEPS", "100,300,600")
CLUSTERS = os.environ.get("SEMDEDUP_CLUSTERS", "10,20,30,40,50")
OUT = Path(os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp())

# %% [markdown]
# ## A table, and a training process without Spark
#
# A quarter of 4,000 pictures of Fashion-MNIST: of each of 20 clusters what is farthest from the
# centroid. A run writes the table `pruned` anew, a version that a training process can name. Beside
# it, from all rows, a random subset of the same size, another one for each seed.

# %%
PRUNE = f"prune --dataset fmnist --root {ROOT} --split test --limit {LIMIT or 4000} --output {OUT}"
RULE = "--ratio 25 --n_clusters 20 --rank_type cossim --prune_type diverse"
cli(f"{PRUNE} {RULE}".split(), standalone_mode=False)
pruned = DeduplicatedDataset(f"{OUT}/pruned", columns=["id"])
everything = DeduplicatedDataset(
    f"{OUT}/embeddings", columns=["source"], transform=lambda row: row["source"]
)
place = {row["id"]: number for number, row in enumerate(everything)}
diverse = Subset(everything, [place[row["id"]] for row in pruned])
print(f"pruned, version {pruned.version}: {len(diverse):,} of {len(everything):,} rows")


def random_subset(seed):
    rows = np.random.default_rng(seed).choice(len(everything), len(diverse), replace=False)
    return Subset(everything, rows.tolist())


# %% [markdown]
# Trained on each, tested on 2,000 pictures that neither was made of.

# %%
images = load_images("fmnist", Path(ROOT), "test")
unseen = np.setdiff1d(images.index, images.sample(int(LIMIT or 4000)).index)
held_out = images.take(unseen[:2000])
settings = TrainSettings(checkpoints=tuple(int(n) for n in STEPS.split(",")))

selections = {"cossim/diverse": lambda _: diverse, "random subset": random_subset}
runs: dict[str, list[list[Checkpoint]]] = {name: [] for name in selections}
for seed in range(SEEDS):  # in turns, so that a busy minute falls on both
    for name, rows_of in selections.items():
        runs[name].append(
            train(
                rows_of(seed),
                ArrayRows(held_out.pixels, held_out.labels),
                lambda: model_for((28, 28), 10),
                settings,
                seed=seed,
                collate=stacked_pictures(mode="L"),
            )
        )
for name, found in runs.items():
    accuracy = 100 * np.array([[point.accuracy for point in run] for run in found])
    seconds = [run[-1].seconds for run in found]
    for column, steps in enumerate(settings.checkpoints):
        mean, sd = accuracy[:, column].mean(), accuracy[:, column].std(ddof=1)
        print(f"{name:15} {steps:5} steps: {mean:.2f} % (sd {sd:.2f})")
    print(f"{name:15} {np.min(seconds):.1f} s of training at best, loading included")

# %% [markdown]
# A step costs the same whatever the table holds, so both take equally long but for noise: time is
# saved only where fewer *steps* do.
#
# ## E2: ratio x steps x accuracy
#
# All ratios, all numbers of clusters, five seeds each: `semdedup sweep`, in memory. It goes on
# where it was stopped; where `results.csv` has all cells, as here, it only prints and draws.

# %%
SWEEP = f"sweep --dataset fmnist --root {ROOT} --split test --seeds {SEEDS} --steps {STEPS}"
SWEEP += f" --limit {LIMIT}" if LIMIT else ""
METHODS = "random/common,random/diverse,cossim/common,cossim/diverse,semdedup"
cli(
    f"{SWEEP} --clusters {CLUSTERS} --methods {METHODS} --output {OUT}/fmnist".split(),
    standalone_mode=False,
)

# %% [markdown]
# Every point is a mean over seeds, its bar a standard deviation to each side; black is the random
# subset of the same size.

# %%
display(Shown(f"{OUT}/fmnist/sweep.png"))

# %%
display(Shown(f"{OUT}/fmnist/steps.png"))


# %% [markdown]
# The same as numbers: accuracy in percent, mean and standard deviation over seeds, at k = 20.


# %%
def accuracies(folder, ratios):
    lines = [
        (f"{s.ratio:g} %", s.steps, s.method, f"{100 * s.mean:.1f} ± {100 * s.deviation:.1f}")
        for s in summarise(read_results(Path(folder) / "results.csv"))
        if s.n_clusters in (0, 20) and s.ratio in ratios
    ]
    table = pd.DataFrame(lines, columns=["kept", "steps", "method", "accuracy"])
    wide = table.pivot(index=["kept", "steps"], columns="method", values="accuracy")
    return wide[["subset", *wide.columns.drop("subset")]].rename(
        columns={"subset": "random subset"}
    )


accuracies(f"{OUT}/fmnist", (10, 25, 50, 75))

# %% [markdown]
# Fashion-MNIST has next to no duplicates, and here every rule by similarity keeps a *worse* sample
# than chance, the more so the less is kept; a random sample of each cluster (`random/...`) is about
# as good as a random subset.
#
# ## Where there is something to remove
#
# The same with half of the pictures replaced by perturbed copies of a tenth of the others. SemDeDup
# at 50 % could now drop every copy and keep all that differs.

# %%
COPIES = "--copies 0.5 --clusters 20 --methods cossim/common,cossim/diverse,semdedup"
cli(f"{SWEEP} {COPIES} --output {OUT}/copies".split(), standalone_mode=False)

# %%
display(Shown(f"{OUT}/copies/steps.png"))

# %%
accuracies(f"{OUT}/copies", (25, 50, 75))

# %% [markdown]
# At 50 %, SemDeDup keeps 29 % of the copies where chance keeps half of them, and half of the rows
# are then worth as much as all; no other rule does better than chance at any ratio. Told to keep
# less than there are originals, SemDeDup has to drop what is no copy, and loses to chance as it did
# without copies. So: deduplicate by a threshold, and let it decide how much is left; to make a
# set smaller than that, draw at random.
