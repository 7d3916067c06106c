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
# # A Delta table, night after night
#
# The same function takes a Spark DataFrame. It runs as the job and leaves Delta tables, so that
# the next night only pays for what is new, and anyone can ask these tables in SQL.
#
# The table: notes of a shop's support desk, of which some say the same in other words.

# %%
import os
import tempfile
from pathlib import Path

from semdedup_spark import DeduplicatedFrame, deduplicate, open_session

OUT = Path(os.environ.get("SEMDEDUP_OUT") or tempfile.mkdtemp()) / "lake"
spark = open_session()

# %%
asked = ["How can {who} reset {a} password?", "{who} would like to reset {a} password. How?"]
asked += ["Where is {a} order?", "When does {a} order arrive?", "{who} wants {a} money back."]
people = [("I", "my"), ("Ana", "her"), ("Bo", "his"), ("we", "our"), ("the buyer", "their")]
notes = [
    (f"n{i:03d}", text.format(who=who, a=a), i % 3)
    for i, (text, (who, a)) in enumerate((text, person) for text in asked for person in people)
]
columns = "note_id string, text string, stars int"
table = str(OUT / "notes")
first_night = [note for i, note in enumerate(notes) if i % len(people) != 3]
second_night = [note for i, note in enumerate(notes) if i % len(people) == 3]
spark.createDataFrame(first_night, columns).write.format("delta").mode("overwrite").save(table)

# %% [markdown]
# ## The first night
#
# On a cluster `output` is a URI, or `catalog.schema`. Of similar notes the one with most stars
# stays.


# %%
def tonight() -> DeduplicatedFrame:
    """Deduplicate the table as it is now."""
    return deduplicate(
        spark.read.format("delta").load(table),
        content="text",
        id="note_id",
        rank_by="stars DESC",
        eps=0.1,
        output=str(OUT / "dedup"),
    )


result = tonight()
result

# %%
result.kept.orderBy("note_id").show(truncate=60)
result.removed.orderBy("similarity").show(5, truncate=30)

# %% [markdown]
# ## The next night
#
# New rows are embedded and compared with the old ones. The tables are those of one run over all
# rows.

# %%
spark.createDataFrame(second_night, columns).write.format("delta").mode("append").save(table)
later = tonight()
print(later)
print({record.stage: dict(record.counts) for record in later.summary.records}["score"])

# %% [markdown]
# ## One table of all rows
#
# `assignment` says of each row what became of it, and for how many rows a kept one stands.

# %%
later.assignment.createOrReplaceTempView("assignment")
spark.sql("SELECT reason, count(*) AS n_rows FROM assignment GROUP BY reason").show()
spark.sql("SELECT id, copies FROM assignment WHERE kept ORDER BY copies DESC, id LIMIT 5").show()

# %% [markdown]
# ## Another threshold
#
# Nothing is embedded or compared again.

# %%
print(later.at(0.03))
later.tune(eps=[0.01, 0.03, 0.1, 0.2]).show()
