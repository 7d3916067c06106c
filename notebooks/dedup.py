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
# something. The other notebook, `train`, asks whether it is worth it.
#
# The data: 4,000 pictures of the test split of Fashion-MNIST, ten classes of clothes.

# %%
import io
import os
import tempfile

import numpy as np
from deltalake import DeltaTable
from IPython.display import Image as Shown
from IPython.display import display
from PIL import Image

from semdedup_spark import Clusters
from semdedup_spark.cli import cli
from semdedup_spark.experiments import (
    cluster_histograms,
    cramers_v,
    draw_gallery,
    draw_histograms,
    keep_least_similar,
    max_similarity_in_clusters,
)

ROOT = os.environ.get("SEMDEDUP_DATA", "data")
LIMIT = os.environ.get("SEMDEDUP_LIMIT", "4000")
OUT = os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp()


def show(figure):
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=72)
    display(Shown(held.getvalue()))


# %% [markdown]
# ## One job, on Spark
#
# The same as `semdedup prune --dataset fmnist --ratio 25 --n_clusters 20 ...` in a terminal: embed
# (here: the pixels themselves), k-means, then 25 % of each cluster, farthest from the centroid.

# %%
cli(
    f"prune --dataset fmnist --root {ROOT} --split test --limit {LIMIT} --representation pixels "
    f"--ratio 25 --n_clusters 20 --rank_type cossim --prune_type diverse --output {OUT}".split(),
    standalone_mode=False,
)

# %% [markdown]
# Its tables, read without Spark. `pruning` has a line for every row: its cluster, its cosine to the
# centroid, whether it stays. `embeddings` has the vector and the source's own columns.

# %%
pruning = DeltaTable(f"{OUT}/pruning").to_pyarrow_table().sort_by("id")
embeddings = DeltaTable(f"{OUT}/embeddings").to_pyarrow_table(columns=["id", "embedding", "source"])
embeddings = embeddings.sort_by("id")
assert pruning["id"] == embeddings["id"]
labels = pruning["cluster_id"].to_numpy()
similarity = pruning["centroid_similarity"].to_numpy()
kept = pruning["kept"].to_numpy()
X = np.stack(embeddings["embedding"].to_pylist()).astype(np.float32)
source = embeddings["source"].to_pylist()
classes = np.array([row["label"] for row in source])
pruning.slice(0, 5).to_pandas()

# %%
sizes, left = np.bincount(labels), np.bincount(labels, kept).astype(int)
assert (left == -(-sizes // 4)).all()  # a quarter of each cluster, rounded up
print(f"{kept.sum():,} of {len(kept):,} rows kept, of clusters of {sizes.min()} to {sizes.max()}")

# %% [markdown]
# ## Do the clusters mean anything?
#
# Cramer's V of cluster by class: 0 for no association, 1 for a perfect one. Were rows and clusters
# out of step, it would be what the second line says.

# %%
shuffled = np.random.default_rng(0).permutation(labels)
print(f"Cramer's V, cluster by class:    {cramers_v(labels, classes):.3f}")
print(f"the same with clusters shuffled: {cramers_v(shuffled, classes):.3f}")

# %% [markdown]
# The pictures nearest to the centroid and farthest from it, in the four largest clusters. Near it:
# the plain shape. Far from it: patterns, odd cuts, and what belongs to another class.


# %%
def picture(row):
    return np.asarray(Image.open(io.BytesIO(source[row]["image"])))


rows, names = [], []
for cluster in np.argsort(-sizes, kind="stable")[:4]:
    own = np.flatnonzero(labels == cluster)
    own = own[np.argsort(-similarity[own])]
    rows += [[picture(row) for row in own[:10]], [picture(row) for row in own[-10:]]]
    names += [f"cluster {cluster}, nearest", "farthest"]
show(draw_gallery(rows, names))

# %% [markdown]
# ## E1: cosines before and after
#
# For each cluster, above, the cosines of its rows to the centroid; below, the cosines of all pairs
# of its rows, computed, not inferred from the centroid. Grey is before pruning, the line after it,
# each of area 1. All clusters, the largest first.
#
# `diverse` cuts the upper row off where the quarter farthest from the centroid ends; the pairs
# that are left are less alike, too.

# %%
histograms = cluster_histograms(X, labels, similarity, kept)
show(draw_histograms(histograms, "before and after keeping 25 %, diverse"))

# %% [markdown]
# `common` does the opposite, and makes what is left *more* redundant. `stratified` flattens the
# distribution. The five largest clusters:

# %%
clusters = Clusters(labels, similarity, np.empty((0, X.shape[1]), np.float32))
others = {}
for prune_type in ("common", "stratified"):
    mask = clusters.prune(25, prune_type=prune_type)
    others[prune_type] = cluster_histograms(X, labels, similarity, mask)
    show(draw_histograms(others[prune_type][:5], f"before and after keeping 25 %, {prune_type}"))


# %%
def mean_cosine(which, name):
    counts = sum(getattr(h, name) for h in which)
    edges = which[0].edges
    return counts @ (edges[1:] + edges[:-1]) / 2 / max(counts.sum(), 1)


print("mean cosine          to the centroid   of pairs")
print(
    f"before               {mean_cosine(histograms, 'centroid_before'):.4f}            "
    f"{mean_cosine(histograms, 'pairs_before'):.4f}"
)
for name, which in {"diverse": histograms, **others}.items():
    print(
        f"after {name:14} {mean_cosine(which, 'centroid_after'):.4f}            "
        f"{mean_cosine(which, 'pairs_after'):.4f}"
    )

# %% [markdown]
# ## SemDeDup beside it
#
# SemDeDup asks something else: is there a more preferred row that is nearly the same? At the same
# kept fraction the two agree on many rows, not on all. Neither is even over the classes: sandals
# (class 5), which differ most from each other, become a quarter of what is kept or more, and ankle
# boots (class 9), which look alike, nearly vanish. `train` shows what that costs.

# %%
scores = max_similarity_in_clusters(X, clusters)
semdedup = keep_least_similar(scores, round(100 * kept.mean(), 6))
both = int((kept & semdedup).sum())
print(f"kept by pruning {kept.sum():,}, by SemDeDup {semdedup.sum():,}, by both {both:,}")
for name, mask in (("all rows", kept | True), ("pruning", kept), ("SemDeDup", semdedup)):
    shares = 100 * np.bincount(classes[mask], minlength=10) / mask.sum()
    print(f"{name:9} percent of each class: {' '.join(f'{share:5.1f}' for share in shares)}")
