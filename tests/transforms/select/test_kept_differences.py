"""The rows that differ between two selections, beside a comparison row by row."""

from __future__ import annotations

import random

import pytest
from pyspark.sql import Row

from semdedup_spark.transforms.select.kept_differences import kept_differences

HASHED = "id string, batch int, content_hash bigint, row_hash struct<h1:bigint,h2:bigint>"


def hashed(rng):
    """Two of these are often equal in part."""
    return rng.choice([7, -(2**63)]), Row(h1=rng.choice([0, 1]), h2=rng.choice([3, 2**63 - 1]))


@pytest.mark.parametrize("seed", range(3))
def test_rows_differ_that_came_that_went_and_whose_columns_changed(spark, seed):
    rng = random.Random(seed)
    ids = [f"{i}" for i in range(40)]
    then = {i: hashed(rng) for i in rng.sample(ids, 30)}
    now = {i: then[i] if i in then and rng.random() < 0.6 else hashed(rng) for i in ids[:35]}
    before, kept = rng.sample(sorted(then), 20), rng.sample(sorted(now), 24)
    found = kept_differences(
        spark.createDataFrame([(i,) for i in before], "id string"),
        spark.createDataFrame([(i, int(i) // 10, *now[i]) for i in kept], HASHED),
        spark.createDataFrame([(i, 0, *hashes) for i, hashes in then.items()], HASHED),
    )
    come, gone = set(kept) - set(before), set(before) - set(kept)
    changed = {i for i in set(kept) & set(before) if now[i] != then[i]}
    assert (found.come, found.gone, found.changed) == (len(come), len(gone), len(changed))
    assert min(found.come, found.gone, found.changed) > 0
    assert sorted(row["id"] for row in found.ids.collect()) == sorted(come | gone | changed)
    assert {row["id"] for row in found.to_write.collect()} == come | changed
    assert sorted(found.batches()) == sorted({int(i) // 10 for i in come | changed})
    assert found.are_sound


def test_without_hashes_only_rows_that_came_or_went_differ(spark):
    before = spark.createDataFrame([(1,), (2,)], "id int")
    now = spark.createDataFrame([(2, 0), (3, 5)], "id int, batch int")
    found = kept_differences(before, now, None)
    assert (found.come, found.gone, found.changed, found.total) == (1, 1, 0, 2)
    assert found.batches() == [5]


def test_a_row_that_was_kept_and_of_which_no_hash_is_known_has_changed(spark):
    now = spark.createDataFrame([("a", 0, 7, Row(h1=1, h2=2))], HASHED)
    found = kept_differences(now.select("id"), now, now.limit(0))
    assert (found.come, found.gone, found.changed) == (0, 0, 1)


@pytest.mark.parametrize("side", ["before", "now"])
def test_ids_that_are_there_twice_are_told(spark, side):
    rows = spark.createDataFrame([("a", 0), ("b", 0)], "id string, batch int")
    sides = {"before": rows, "now": rows}
    sides[side] = rows.union(rows)
    assert not kept_differences(sides["before"].select("id"), sides["now"], None).are_sound
