"""`deduplicated` changes by what changed, and is then what a whole writing would make it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from semdedup_spark import open_job
from semdedup_spark import schema as s
from semdedup_spark.pipeline import run_embed, run_forget, run_select
from semdedup_spark.pipeline.operations.override import Rows, override_rows
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from semdedup_spark.transforms.select.threshold import kept_rows
from tests.jobs.jobfiles import near_duplicates, run, table, vectors_job
from tests.jobs.killing import Killed, killed_after

N, D = 90, 6
X = near_duplicates(2 * N, D, seed=3)


class Nights:
    """A source that changes, and its output."""

    def __init__(self, spark, folder, *, copies=True, name=None):
        self.spark, self.folder, self.name = spark, folder, name
        self.copies = copies
        self.rows = {f"d{i:03d}": (i, "first") for i in range(N)}

    def config(self, eps=0.05):
        return vectors_job(
            self.folder / "out",
            self.folder / "src",
            embed={"encoder": "none", "copy_source": self.copies},
            cluster={"n_clusters": 1},
            score={"eps_max": 0.2},
            select={"eps": eps, "name": self.name},
        )

    def job(self, eps=0.05):
        return open_job(self.spark, self.config(eps))

    def come_to_pass(self, **rows):
        """Change rows, and run."""
        self.show(**rows)
        return run(self.spark, self.config())

    def show(self, **rows):
        """Change rows: id to number of its vector and note; ``None``: it leaves."""
        self.rows |= rows
        self.rows = {i: row for i, row in self.rows.items() if row is not None}
        lines = [(i, [float(x) for x in X[n]], note) for i, (n, note) in self.rows.items()]
        frame = self.spark.createDataFrame(lines, "doc string, v array<double>, note string")
        # Several files, into which rows are sent by their ids.
        writer = frame.repartition(4, "doc").write.format("delta").mode("overwrite")
        writer.save(str(self.folder / "src"))

    @property
    def table(self):
        return "deduplicated" if self.name is None else f"deduplicated_{self.name}"

    def sql(self, statement):
        return self.spark.sql(statement.format(f"delta.`{self.folder}/out/{self.table}`"))

    def kept(self):
        return {
            row["doc"]: row for row in table(self.spark, self.folder / "out", self.table).collect()
        }

    def files(self):
        return set(table(self.spark, self.folder / "out", self.table).inputFiles())

    def last_commit(self):
        commit = self.sql("DESCRIBE HISTORY {} LIMIT 1").first()
        return commit["operationParameters"], commit["operationMetrics"]

    def was_written_whole(self):
        told, _ = self.last_commit()
        return told["mode"] == "Overwrite" and "predicate" not in told

    def feed(self):
        """What the last commit tells of rows: kinds of changes by id."""
        version = self.sql("DESCRIBE HISTORY {} LIMIT 1").first()["version"]
        reader = self.spark.read.format("delta").option("readChangeFeed", "true")
        told = reader.option("startingVersion", version).load(f"{self.folder}/out/{self.table}")
        changes = {}
        for row in told.orderBy("doc", "_change_type").collect():
            changes.setdefault(row["doc"], []).append(row["_change_type"])
        return changes

    def check(self):
        """The table is what writing it as a whole would make it."""
        gone = table(
            self.spark, self.folder / "out", self.table.replace("deduplicated", "duplicates")
        )
        own = rows_as_embedded(self.job())
        expected = kept_rows(own, gone.select(s.ID), with_id=False).collect()
        there = table(self.spark, self.folder / "out", self.table).collect()
        assert sorted(map(str, there)) == sorted(map(str, expected))
        record = self.job().ledger.last(s.selection_stage(self.name))
        assert record.counts["kept"] == len(there)
        counted = record.counts
        assert counted["kept"] + counted["removed"] + counted["quarantined"] == counted["read"]


def different(before, after):
    return {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}


@pytest.mark.long
def test_a_night_writes_what_changed_and_the_change_feed_tells_only_that(spark, tmp_path):
    nights = Nights(spark, tmp_path)
    nights.come_to_pass()
    nights.sql("ALTER TABLE {} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    before = nights.kept()
    assert len(nights.files()) > 1

    nights.come_to_pass(new1=(N, "new"), new2=(N + 1, "new"), copy=(0, "as d000"))
    told, metrics = nights.last_commit()
    assert told["mode"] == "Append"
    assert metrics["numFiles"] == "1"
    after = nights.kept()
    assert different(before, after) == {"new1", "new2"}
    assert nights.feed() == {"new1": ["insert"], "new2": ["insert"]}
    nights.check()

    # One row has another note: the file that holds it is written anew.
    before, noted = after, max(before)
    nights.come_to_pass(**{noted: (nights.rows[noted][0], "other")}, new3=(N + 6, "new"))
    told, metrics = nights.last_commit()
    assert "predicate" in told
    assert noted not in told["predicate"]
    assert metrics["numRemovedFiles"] == "1"
    after = nights.kept()
    assert different(before, after) == {noted, "new3"}
    assert nights.feed() == {noted: ["delete", "insert"], "new3": ["insert"]}
    nights.check()

    # Another eps, and deletion vectors: no file is written anew.
    before, files = after, nights.files()
    nights.sql("ALTER TABLE {} SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    run_select(nights.job(eps=0.1))
    after = nights.kept()
    assert different(before, after)
    assert nights.feed().keys() == different(before, after)
    assert after.keys() < before.keys()
    assert nights.files() == files
    nights.check()

    # Nothing differs: the commit says whose result the rows are.
    run_select(nights.job(eps=0.1000001))
    assert nights.last_commit()[1]["numOutputRows"] == "0"
    assert nights.kept() == after
    assert all(record.reused for record in [run_select(nights.job(eps=0.1000001))])

    # An erased row leaves the files, although rows are only marked otherwise.
    run_forget(nights.job(), [sorted(after)[0]])
    assert nights.was_written_whole()
    nights.check()


@pytest.mark.long
def test_a_table_that_is_not_as_the_last_selection_left_it_is_written_as_a_whole(spark, tmp_path):
    nights = Nights(spark, tmp_path, name="of_mine")
    nights.come_to_pass()
    run_select(nights.job(eps=0.1))
    assert not nights.was_written_whole()

    nights.sql("DELETE FROM {} WHERE doc = 'd001'")
    run_select(nights.job(eps=0.08))
    assert nights.was_written_whole()
    nights.check()

    dies = killed_after(lambda table, _: table == nights.table)
    with pytest.raises(Killed), dies:
        run_select(nights.job(eps=0.05))
    assert not nights.was_written_whole()
    run_select(nights.job(eps=0.08))
    assert nights.was_written_whole()
    nights.check()

    dies = killed_after(lambda table, _: table == "assignment_of_mine")
    with pytest.raises(Killed), dies:
        run_select(nights.job(eps=0.05))
    run_select(nights.job(eps=0.12))
    assert not nights.was_written_whole()
    nights.check()

    shutil.rmtree(tmp_path / "out" / nights.table)
    run_select(nights.job(eps=0.12))
    assert nights.last_commit()[1]["numOutputRows"] == str(len(nights.kept()))
    nights.check()

    # Most rows differ: to write all of them is less work.
    override_rows(nights.job(), Rows(sorted(nights.kept())[10:]), "remove", "too many")
    run_select(nights.job(eps=0.12))
    assert nights.was_written_whole()
    nights.check()


@pytest.mark.long
def test_rows_of_which_nothing_is_known_any_more_are_written_as_a_whole(spark, tmp_path):
    nights = Nights(spark, tmp_path)
    nights.come_to_pass()
    nights.show(d001=(1, "other"), new=(N, "new"))
    run_embed(nights.job())
    there = {Path(file).name for file in table(spark, tmp_path / "out", "embeddings").inputFiles()}
    for file in (tmp_path / "out" / "embeddings").glob("*.parquet"):  # as VACUUM does
        if file.name not in there:
            file.unlink()
    run(spark, nights.config())
    assert nights.was_written_whole()
    nights.check()


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1])
def test_random_nights_leave_what_whole_writings_leave(spark, tmp_path, seed):
    rng = random.Random(seed)
    nights = Nights(spark, tmp_path, copies=bool(seed))
    nights.come_to_pass()
    partly = 0
    for step in range(4):
        what = rng.choice(["night", "night", "eps", "override", "forget"])
        ids = rng.sample(sorted(nights.rows), 4)
        if what == "night":
            changes = {
                ids[0]: None,
                ids[1]: (nights.rows[ids[1]][0], f"note {step}"),
                ids[2]: (rng.randrange(2 * N), f"moved {step}"),
                **{f"n{step}{i}": (rng.randrange(2 * N), "new") for i in range(rng.randrange(5))},
            }
            nights.come_to_pass(**dict(rng.sample(sorted(changes.items()), rng.randrange(4))))
        elif what == "eps":
            run_select(nights.job(eps=rng.choice([0.01, 0.1, 0.15])))
        elif what == "override":
            override_rows(nights.job(), Rows(ids[:2]), rng.choice(["keep", "remove"]), "so")
            run_select(nights.job())
        else:
            run_forget(nights.job(), ids[:1])
            del nights.rows[ids[0]]
        partly += not nights.was_written_whole()
        nights.check()
    assert partly > 1
