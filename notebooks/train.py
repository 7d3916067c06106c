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
# A pruned table beside a random subset of the same size: same loader, same number of steps, same
# seeds. Only so do accuracy and time say something about the selection.

# %%
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torchvision
from IPython.display import display
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from semdedup_spark.cli import cli
from semdedup_spark.datasets import load_images
from semdedup_spark.torch import DeduplicatedDataset, ShardedSampler, stacked_pictures
from semdedup_spark.training.models import model_for
from semdedup_spark.training.sweep import split_off_test
from semdedup_spark.training.trainer import ArrayRows, TrainSettings, as_it_is, train

ROOT = os.environ.get("SEMDEDUP_DATA", "data")
ROWS = int(os.environ.get("SEMDEDUP_ROWS", "4000"))
SEEDS = range(int(os.environ.get("SEMDEDUP_SEEDS", "5")))
STEPS = tuple(int(n) for n in os.environ.get("SEMDEDUP_STEPS", "100,300,600").split(","))
OUT = Path(os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp())

# %% [markdown]
# ## One table, three versions
#
# 25 % of each of 20 clusters, `diverse` and `common`; and a random 25 %: the same command with one
# cluster and a random rank. Each run writes the table `pruned` anew, a version that a training
# process can name. What does not change is reused: the pictures are embedded once.

# %%
RULES = {
    "cossim/diverse": "--n_clusters 20 --rank_type cossim --prune_type diverse",
    "cossim/common": "--n_clusters 20 --rank_type cossim --prune_type common",
    "random subset": "--n_clusters 1 --rank_type random --prune_type common",
}
PRUNE = f"prune --dataset fmnist --root {ROOT} --split test --limit {ROWS} --ratio 25 --exact_total"
versions = {}
for name, rule in RULES.items():
    cli(f"{PRUNE} {rule} --output {OUT}".split(), standalone_mode=False)
    versions[name] = DeduplicatedDataset(f"{OUT}/pruned").version
datasets = {
    name: DeduplicatedDataset(f"{OUT}/pruned", version=v, columns=["id", "image", "label"])
    for name, v in versions.items()
}
print({name: f"{len(rows)} rows, version {rows.version}" for name, rows in datasets.items()})

# %% [markdown]
# What the model is tested on: pictures that none of the tables was made of.

# %%
images = load_images("fmnist", Path(ROOT), "test")
seen = images.sample(ROWS)
unseen = np.setdiff1d(images.index, seen.index)
held_out = images.take(unseen) if len(unseen) >= 500 else split_off_test(images)[1]
test = ArrayRows(held_out.pixels, held_out.labels)
print(f"{len(test):,} test pictures")

# %% [markdown]
# ## E2: accuracy by steps

# %%
settings = TrainSettings(checkpoints=STEPS)
runs = {
    name: [
        train(
            rows,
            test,
            lambda: model_for((28, 28), 10),
            settings,
            seed=seed,
            collate=stacked_pictures(mode="L"),
        )
        for seed in SEEDS
    ]
    for name, rows in datasets.items()
}
baseline = np.array([[p.accuracy for p in run] for run in runs["random subset"]])
for name, found in runs.items():
    accuracy = np.array([[p.accuracy for p in run] for run in found])
    seconds = np.mean([run[-1].seconds for run in found])
    gain = accuracy - baseline
    for column, steps in enumerate(STEPS):
        mean, sd = accuracy[:, column].mean(), accuracy[:, column].std(ddof=1)
        print(
            f"{name:15} {steps:5} steps: {100 * mean:.2f} % (sd {100 * sd:.2f}), "
            f"gain over random {100 * gain[:, column].mean():+.2f}"
        )
    print(f"{name:15} {seconds:.2f} s of training")

# %%
figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
for name, found in runs.items():
    accuracy = 100 * np.array([[p.accuracy for p in run] for run in found])
    style = {"color": "black", "ls": "--"} if name == "random subset" else {}
    axes.errorbar(
        STEPS,
        accuracy.mean(axis=0),
        yerr=accuracy.std(axis=0, ddof=1),
        label=name,
        capsize=3,
        **style,
    )
axes.set(xlabel="training steps", ylabel="test accuracy, %", title=f"25 % of {ROWS:,} rows")
axes.legend()
display(figure)

# %% [markdown]
# ## How fast is the loader?
#
# Pictures come as PNG from Arrow memory and are decoded; torchvision's dataset holds raw pixels and
# turns each into a PIL image. Both give uint8 batches of 64 in this process.


# %%
def pictures_per_second(loader: DataLoader) -> float:
    begin = time.perf_counter()
    n = sum(len(batch[1]) for batch in loader)
    return n / (time.perf_counter() - begin)


class InMemory(torchvision.datasets.FashionMNIST):
    """torchvision's own class over the pictures at hand: its files may not be here."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        import torch

        self.data, self.targets = torch.from_numpy(pixels), torch.from_numpy(labels)
        self.transform, self.target_transform = torchvision.transforms.PILToTensor(), None


ours = DeduplicatedDataset(
    f"{OUT}/embeddings", columns=["source"], transform=lambda row: row["source"]
)
theirs = InMemory(seen.pixels, seen.labels)
raw = ArrayRows(seen.pixels, seen.labels)
sampler = ShardedSampler(len(ours), seed=0)
for name, loader in {
    "DeduplicatedDataset": DataLoader(
        ours, batch_size=64, sampler=sampler, collate_fn=stacked_pictures(mode="L")
    ),
    "torchvision in memory": DataLoader(theirs, batch_size=64, sampler=sampler),
    "tensors in memory": DataLoader(raw, batch_size=64, sampler=sampler, collate_fn=as_it_is),
}.items():
    best = max(pictures_per_second(loader) for _ in range(3))
    print(f"{name:22} {best:10,.0f} pictures/s")
