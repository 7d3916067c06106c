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
# # Texts in pandas
#
# Remove texts that say the same as another one, look at what went, and choose how similar is too
# similar. Everything happens in memory, without Spark. The texts: what the functions of NumPy and
# pandas say of themselves, of which many say nearly the same.

# %%
import inspect
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from semdedup_spark import deduplicate

LIMIT = int(os.environ.get("SEMDEDUP_LIMIT", "1200"))
OUT = Path(os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp())
OUT.mkdir(parents=True, exist_ok=True)

places = {"numpy": np, "numpy.linalg": np.linalg, "pandas": pd, "Series": pd.Series}
places |= {"DataFrame": pd.DataFrame, "Index": pd.Index}
found = {
    f"{place}.{name}": inspect.getdoc(value)
    for place, owner in places.items()
    for name, value in inspect.getmembers(owner)
    if not name.startswith("_") and callable(value)
}
docs = pd.DataFrame({"name": found.keys(), "text": found.values()}).dropna().head(LIMIT)
docs["text"] = docs["text"].str.split("\n\n").str[0]  # the first paragraph says what it is for
docs["length"] = docs["text"].str.len()
docs

# %% [markdown]
# ## Deduplicate
#
# `eps` is the threshold: a text goes if its cosine to a text before it is above `1 - eps`. Of
# several similar texts the longest stays. MiniLM comes with the package; nothing is downloaded.

# %%
result = deduplicate(docs, content="text", id="name", rank_by="length DESC", eps=0.05)
result

# %% [markdown]
# ## What went, and because of which text
#
# The least similar removals come first: mistakes are most likely there.

# %%
texts = docs.set_index("name")["text"]
edge = result.removed.sort_values("similarity").head(8)
edge = edge.assign(text=texts.loc[edge["id"]].to_numpy())
edge = edge.assign(survivor_text=texts.loc[edge["survivor_id"]].to_numpy())
pd.set_option("display.max_colwidth", 90)
edge[["similarity", "id", "text", "survivor_id", "survivor_text"]]

# %% [markdown]
# ## What another threshold would keep
#
# The texts were encoded and compared once. `tune`, `at` and `keep` only select again.

# %%
tuning = result.tune()
tuning

# %%
tuning.plot("eps", "kept", marker="o", ylim=(0, 1), ylabel="share kept", legend=False)

# %%
strict, loose, nine_of_ten = result.at(0.01), result.at(0.2), result.keep(0.9)
print(strict, loose, nine_of_ten, sep="\n")

# %% [markdown]
# ## Every text, and what became of it
#
# `copies` is the number of texts that a kept one stands for: a weight, for those who would rather
# weight than remove.

# %%
assignment = result.assignment
assignment.sort_values("copies", ascending=False).head(5)

# %%
print(result.explain(edge["id"].iloc[0]))

# %% [markdown]
# ## A page to share
#
# `report` writes all of this to one HTML file, with the words marked in which texts differ.

# %%
result.report(OUT / "texts.html")
