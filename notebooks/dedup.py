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
# # Pruning by cluster
#
# Keep a percentage of each cluster (Heo & Chen), see what goes, and check that the clusters mean
# something. `train.py` then asks whether it was worth it.
#
# The same as on the command line: `semdedup prune --dataset fmnist --ratio 25 --n_clusters 20`.

# %%
import os
import tempfile

import numpy as np
import pyarrow as pa
from IPython.display import display

from semdedup_spark.cli import cli
from semdedup_spark.in_memory_pruning import (
    Clusters,
    keep_least_similar,
    max_similarity_in_clusters,
)
from semdedup_spark.kernels.association import cramers_v
from semdedup_spark.kernels.histograms import cluster_histograms
from semdedup_spark.report.cluster_figures import draw_gallery, draw_histograms
from semdedup_spark.tables.delta_files import open_version, read_rows
from semdedup_spark.torch import DeduplicatedDataset

ROOT = os.environ.get("SEMDEDUP_DATA", "data")
ROWS = os.environ.get("SEMDEDUP_ROWS", "4000")
OUT = os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp()

# %% [markdown]
# ## One job, on Spark

# %%
cli(
    f"prune --dataset fmnist --root {ROOT} --split test --limit {ROWS} --representation pixels "
    f"--ratio 25 --n_clusters 20 --rank_type cossim --prune_type diverse --output {OUT}".split(),
    standalone_mode=False,
)

# %% [markdown]
# Its tables, read without Spark. `pruning` has a line for every row: its cluster, its cosine to the
# centroid, whether it stays.


# %%
def table(name: str, columns: list[str] | None = None) -> pa.Table:
    return read_rows(open_version(f"{OUT}/{name}"), columns).sort_by(
        columns[0] if columns else "id"
    )


pruning = table("pruning")
embeddings = table("embeddings", ["id", "embedding", "source"])
assert pruning["id"] == embeddings["id"]
labels = pruning["cluster_id"].to_numpy()
similarity = pruning["centroid_similarity"].to_numpy()
kept = pruning["kept"].to_numpy()
X = np.stack(embeddings["embedding"].to_pylist()).astype(np.float32)
classes = np.array([row["label"] for row in embeddings["source"].to_pylist()])
print(f"{kept.sum():,} of {len(kept):,} rows kept, {len(np.unique(labels))} clusters")

# %% [markdown]
# ## Do the clusters mean anything?
#
# Cramer's V of cluster by class: 0 for no association, 1 for a perfect one. If rows and clusters
# are shuffled against each other it is nearly 0: a cheap check that they are aligned.

# %%
shuffled = np.random.default_rng(0).permutation(labels)
print(f"Cramer's V, cluster by class:   {cramers_v(labels, classes):.3f}")
print(f"the same with clusters shuffled: {cramers_v(shuffled, classes):.3f}")

# %% [markdown]
# The most and the least similar to the centroid, in the four largest clusters.

# %%
pictures = {
    row["id"]: row for row in DeduplicatedDataset(f"{OUT}/embeddings", columns=["id", "source"])
}


def picture(row: int) -> np.ndarray:
    import io

    from PIL import Image

    source = pictures[pruning["id"][row].as_py()]["source"]
    return np.asarray(Image.open(io.BytesIO(source["image"])))


rows, names = [], []
for cluster in np.argsort(-np.bincount(labels), kind="stable")[:4]:
    own = np.flatnonzero(labels == cluster)
    own = own[np.argsort(-similarity[own])]
    rows += [[picture(i) for i in own[:10]], [picture(i) for i in own[-10:]]]
    names += [f"{cluster}, nearest", f"{cluster}, farthest"]
display(draw_gallery(rows, names))

# %% [markdown]
# ## E1: cosines before and after
#
# `diverse` keeps what is far from the centroid, so both distributions move to the left: rows
# similar to the centroid go, and what stays is less alike in pairs, too.

# %%
histograms = cluster_histograms(X, labels, similarity, kept)
display(draw_histograms(histograms[:5], "25 % kept, diverse"))
clusters = Clusters(labels, similarity, np.empty((0, X.shape[1]), np.float32))
for prune_type in ("common", "stratified"):
    mask = clusters.prune(25, prune_type=prune_type)
    found = cluster_histograms(X, labels, similarity, mask)
    display(draw_histograms(found[:5], f"25 % kept, {prune_type}"))


# %%
def mean_cosine(counts: np.ndarray) -> float:
    middles = (histograms[0].edges[1:] + histograms[0].edges[:-1]) / 2
    return float(counts @ middles / max(counts.sum(), 1))


for name in ("centroid", "pairs"):
    before, after = (
        mean_cosine(sum(getattr(h, f"{name}_{when}") for h in histograms))
        for when in ("before", "after")
    )
    print(f"mean cosine, {name}: {before:.4f} before, {after:.4f} after")

# %% [markdown]
# ## SemDeDup beside it
#
# SemDeDup asks something else: is there a more preferred row that is nearly the same? At the same
# kept fraction the two agree on some rows only.

# %%
scores = max_similarity_in_clusters(X, clusters)
semdedup = keep_least_similar(scores, 25)
both = int((kept & semdedup).sum())
print(f"kept by pruning {kept.sum():,}, by SemDeDup {semdedup.sum():,}, by both {both:,}")
for name, mask in (("pruning", kept), ("SemDeDup", semdedup)):
    shares = np.bincount(classes[mask], minlength=10) / mask.sum()
    print(f"{name:9} share of each class kept: {np.round(100 * shares, 1).tolist()}")
