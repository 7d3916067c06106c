"""Random sequences of commands beside a model of what they must leave; see test_sequences.

    python -m tests.jobs.sequences --first 0 --count 200

plays that many and prints, for each that fails, its seed and its commands.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from deltalake import DeltaTable

from semdedup_spark import open_job, run_job
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import (
    run_cluster,
    run_embed,
    run_forget,
    run_prune,
    run_pruning_job,
    run_recluster,
    run_score,
    run_select,
)
from semdedup_spark.pipeline.operations.override import Rows, override_rows
from semdedup_spark.pipeline.rows_as_embedded import rows_as_embedded
from tests.jobs.jobfiles import vectors_job
from tests.jobs.killing import Killed, killed_after
from tests.oracle import brute_force

D, EPS, EPS_MAX = 5, 0.05, 0.1
SCHEMA = "doc string, v array<double>, quality int, note string, deep struct<a:string,b:string>"
# An id may be any text.
STRANGE = ("${spark.app.name}", "it's", 'a"b', "a\\b", "{0}", "-- x", "ü €", " 7 ", "%_")


@dataclass
class Row:
    """``vector``: ``None`` is a bad row."""

    vector: tuple[float, ...] | None
    quality: int = 0
    note: str = ""
    deep: tuple[str | None, str | None] = (None, None)


@dataclass
class World:
    """What the source holds, and what the output must hold."""

    spark: object
    folder: Path
    rng: random.Random
    source: dict[str, Row] = field(default_factory=dict)
    embedded: dict[str, Row] = field(default_factory=dict)
    shown: bool = False  # whether embed has seen the source as it is
    overrides: dict[str, str] = field(default_factory=dict)
    selections: dict[str | None, float] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    has_pruning: bool = False
    killed: bool = False
    in_step: bool = False  # whether a run would find nothing to do
    retrain: str = "never"
    columns: bool = False
    # The rows that were written last, and whether they had the further column.
    written: tuple[dict[str, tuple], bool] = field(default_factory=lambda: ({}, False))
    copies_source: bool = True
    names: int = 0
    log: list[str] = field(default_factory=list)

    def config(self, **stages):
        """The job file, or with other settings for a stage."""
        settings = {
            "embed": {"encoder": "none", "copy_source": self.copies_source},
            "cluster": {"n_clusters": 3, "retrain": self.retrain},
            "score": {"recall": "exact", "rank_by": "quality DESC", "eps_max": EPS_MAX},
            "select": {"eps": EPS},
            "prune": {"ratio": 50},
        }
        for stage, other in stages.items():
            settings[stage] = {**settings[stage], **other}
        return vectors_job(self.folder / "out", self.folder / "source", **settings)

    def job(self, **stages):
        return open_job(self.spark, self.config(**stages))

    def table(self, name):
        return DeltaTable(str(self.folder / "out" / name)).to_pyarrow_table().to_pylist()

    # The source changes.

    def change_source(self):
        """Rows come, go, change, turn bad; a column may appear."""
        rng, ids = self.rng, sorted(self.source)
        for i in rng.sample(ids, min(len(ids), rng.choice([0, 1, 4]))):
            del self.source[i]
        for i in rng.sample(sorted(self.source), min(len(self.source), rng.choice([0, 2, 5]))):
            what, row = rng.choice(["vector", "quality", "note", "deep", "bad"]), self.source[i]
            if what == "vector":
                row.vector = self.vector()
            elif what == "bad":
                row.vector = None if row.vector else self.vector()
            elif what == "deep":
                row.deep = (row.deep[1], row.deep[0] or "x")
            else:
                setattr(row, what, rng.randrange(3) if what == "quality" else f"n{rng.random()}")
        self.new_rows(rng.choice([0, 3, 8]) if ids else 25)
        if not any(row.vector for row in self.source.values()):
            self.source["last"] = Row(self.vector())
        if rng.random() < 0.1:
            self.columns = not self.columns
        self.write_source()

    def add_rows(self):
        """Rows come, and nothing else happens."""
        self.new_rows(self.rng.choice([1, 4]))
        if self.rng.random() < 0.3:
            self.source[f"bad{self.names}"] = Row(None)
        self.write_source()

    def new_rows(self, n):
        rng = self.rng
        for _ in range(n):
            self.names += 1
            name = f"{rng.choice(STRANGE)}{self.names}" if rng.random() < 0.2 else f"d{self.names}"
            self.source[name] = Row(self.vector(), rng.randrange(3), "n", ("p", None))

    def vector(self):
        """Near one of a few directions, or equal to one that is there."""
        rng = self.rng
        known = [row.vector for row in self.source.values() if row.vector]
        if known and rng.random() < 0.2:
            return rng.choice(known)
        base = np.random.default_rng(rng.randrange(9)).standard_normal(D)
        noise = np.random.default_rng(rng.randrange(10**6)).standard_normal(D)
        return tuple(float(x) for x in base + rng.choice([0.02, 0.3]) * noise)

    def write_source(self):
        """New rows are appended, where nothing else differs from what was written before."""
        rows = {
            i: (i, list(r.vector) if r.vector else [0.0] * D, r.quality, r.note, r.deep)
            for i, r in sorted(self.source.items())
        }
        before, columns = self.written
        stay = columns == self.columns and all(rows.get(i) == row for i, row in before.items())
        new = [row for i, row in rows.items() if not (stay and i in before)]
        self.written = rows, self.columns
        self.shown = self.shown and not new and stay
        if stay and not new:
            return
        frame = self.spark.createDataFrame(new, SCHEMA)
        if self.columns:
            frame = frame.selectExpr("*", "length(note) AS more")
        writer = frame.coalesce(1).write.format("delta").mode("append" if stay else "overwrite")
        if not stay:
            writer = writer.option("overwriteSchema", "true")
        writer.save(str(self.folder / "source"))

    # Commands.

    def embed_is_done(self):
        if not self.shown:
            self.embedded = {i: Row(**vars(r)) for i, r in self.source.items()}
            self.shown = True

    def run(self):
        self.embed_is_done()
        summary = run_job(self.job())
        self.selections[None] = EPS
        assert not summary.stale, summary.stale
        self.check(everything=True)
        self.in_step = True

    def bring_up_to_date(self):
        """A run, where one would do anything."""
        if not (self.shown and self.in_step):
            self.run()

    def embed(self):
        self.embed_is_done()
        run_embed(self.job())

    def try_other_clusters(self):
        self.embed_is_done()
        job = self.job(cluster={"n_clusters": self.rng.choice([1, 2, 5]), "seed": 7})
        run_cluster(job, run_embed(job))
        job.ledger.flush()

    def try_other_scores(self):
        self.embed_is_done()
        other = self.rng.choice([{"eps_max": 0.2}, {"recall": "cluster"}, {"rank_by": "low"}])
        job = self.job(score=other)
        embed = run_embed(job)
        run_score(job, embed, run_cluster(job, embed))
        job.ledger.flush()

    def select(self):
        self.bring_up_to_date()
        name = self.rng.choice([None, "strict", "wide"])
        eps = self.rng.choice([1e-5, 0.02, 0.09])
        run_select(self.job(select={"eps": eps, "name": name})).counts  # noqa: B018
        self.selections[name] = eps
        self.check()

    def restore(self):
        self.bring_up_to_date()
        ids = sorted(i for i, r in self.embedded.items() if r.vector)
        chosen = self.rng.sample(ids, min(2, len(ids)))
        action = self.rng.choice(["keep", "remove"])
        override_rows(self.job(), Rows(chosen), action, "because")
        self.overrides |= dict.fromkeys(chosen, action)
        if self.rng.random() < 0.3:
            overrides = self.folder / "out" / "overrides"
            self.spark.sql(f"UPDATE delta.`{overrides}` SET reason = 'by hand'")
        run_job(self.job())
        self.check(everything=True)

    def forget(self):
        self.bring_up_to_date()
        name = self.rng.choice([None, "strict"])
        eps = self.rng.choice([1e-5, 0.09])
        run_select(self.job(select={"eps": eps, "name": name}))
        self.selections[name] = eps
        ids = self.rng.sample(sorted(self.embedded), min(3, max(len(self.embedded) - 1, 0)))
        if self.rng.random() < 0.2:
            ids = [i for i, row in self.embedded.items() if row.vector]
        run_forget(self.job(), ids)
        for i in ids:
            del self.embedded[i]
            self.source.pop(i, None)
            self.overrides.pop(i, None)
        self.check(everything=True)
        if any(row.vector for row in self.source.values()):
            self.write_source()  # they are deleted there, too
        else:
            self.change_source()

    def prune(self):
        self.embed_is_done()
        if self.rng.random() < 0.5:
            run_pruning_job(self.job(cluster={"n_clusters": 2}))
        else:
            job = self.job()
            embed = run_embed(job)
            run_prune(job, embed, run_cluster(job, embed))
            job.ledger.flush()
        self.has_pruning = True

    def recluster(self):
        self.bring_up_to_date()
        if self.rng.random() < 0.5:  # what was published last stays
            self.selections[None] = 0.02
            run_select(self.job(select={"eps": 0.02}))
        run_recluster(self.job())
        self.check(everything=True)

    def kill(self):
        """A run that dies after one of its first commits."""
        self.embed_is_done()
        commits = itertools.count(1)
        last = self.rng.randrange(1, 9)
        try:
            with killed_after(lambda *_: next(commits) == last):
                run_job(self.job())
        except Killed:
            self.killed = True

    def kill_select(self):
        """A selection, named or not, that dies after one of its commits; then a run."""
        self.bring_up_to_date()
        name, eps = self.rng.choice([None, "strict", "wide"]), self.rng.choice([1e-5, 0.02, 0.09])
        commits = itertools.count(1)
        last = self.rng.randrange(1, 5)
        try:
            with killed_after(lambda *_: next(commits) == last):
                run_select(self.job(select={"eps": eps, "name": name}))
        except Killed:
            pass
        record = self.job().ledger.last("select" if name is None else f"select:{name}")
        if record is not None:
            self.selections[name] = record.metrics["eps"]
        self.run()

    # What must be there.

    def check(self, *, everything=False):
        """The tables, after a command that leaves all of them in step."""
        good = {i: r for i, r in self.embedded.items() if r.vector}
        rows = {r["id"]: r for r in self.table("embeddings")}
        assert rows.keys() == good.keys()
        ids = sorted(rows)
        if ids:
            X = np.array([rows[i]["embedding"] for i in ids], dtype=np.float32)
            np.testing.assert_array_equal(X, unit_rows([good[i].vector for i in ids]).X)
        if ids:
            assert self.copies_source == ("source" in rows[ids[0]])
        columns = {r["id"]: r["source"] for r in rows_as_embedded(self.job()).collect()}
        assert columns.keys() == good.keys()
        for i in ids:
            own, row = columns[i], good[i]
            assert (own["quality"], own["note"]) == (row.quality, row.note), i
            assert (own["deep"]["a"], own["deep"]["b"]) == row.deep, i
        bad = sorted(set(self.embedded) - set(good))
        assert sorted(r["id"] for r in self.table("quarantine")) == bad
        self.check_batches({i: rows[i]["batch"] for i in ids})
        M, neighbor = self.check_scores(rows)
        for name, eps in self.selections.items():
            if everything or name is None:
                self.check_selection(name, eps, M, neighbor)
        if self.has_pruning and everything:
            pruning = {r["id"]: r["kept"] for r in self.table("pruning")}
            assert pruning.keys() == good.keys()
            kept = sorted(i for i, stays in pruning.items() if stays)
            assert sorted(r["doc"] for r in self.table("pruned")) == kept
        if self.overrides and everything:
            assert {r["id"]: r["action"] for r in self.table("overrides")} == self.overrides

    def check_batches(self, now):
        """A row keeps its number; one that is new, or changed, comes after all of those."""
        stayed = [i for i in now if now[i] == self.batches.get(i)]
        newer = [now[i] for i in now if i not in stayed]
        if stayed and newer and not self.killed:
            assert min(newer) > max(now[i] for i in stayed)
        self.batches, self.killed = now, False

    def check_scores(self, rows):
        """M and neighbor by brute force; clusters by the nearest centroid."""
        scores = {r["id"]: r for r in self.table("scores")}
        assert scores.keys() == rows.keys()
        if not rows:
            return {}, {}
        order = sorted(rows, key=lambda i: (rows[i]["batch"], -self.embedded[i].quality, i))
        X = np.array([rows[i]["embedding"] for i in order], dtype=np.float32)
        M, _ = brute_force(X)
        centroids = {r["cluster_id"]: r["centroid"] for r in self.table("centroids")}
        C = np.array([centroids[c] for c in range(len(centroids))])
        for place, i in enumerate(order):
            row = scores[i]
            assert row["exhaustive"], i
            assert row["batch"] == rows[i]["batch"]
            products = C @ X[place].astype(float)
            assert products[row["cluster_id"]] >= products.max() - 1e-6, i
            if M[place] > 1 - EPS_MAX + 1e-5:
                assert abs(row["max_similarity"] - M[place]) < 3e-6, i
                true = X[order.index(row["neighbor_id"])].astype(float) @ X[place].astype(float)
                assert true > M[place] - 3e-6, i
            elif M[place] < 1 - EPS_MAX - 1e-5:
                assert row["max_similarity"] <= 1 - EPS_MAX, i
        counted = {r["cluster_id"]: r["n_rows"] for r in self.table("clusters")}
        for c in range(len(centroids)):
            assert counted[c] == sum(r["cluster_id"] == c for r in scores.values())
        found = {i: scores[i]["max_similarity"] for i in order}
        return found, {i: scores[i]["neighbor_id"] for i in order}

    def check_selection(self, name, eps, M, neighbor):
        """Who is kept, by the paper's rule and what people decided; nothing is lost."""
        end = f"_{name}" if name else ""
        removed = self.removed(eps, M, neighbor)
        gone = {r["id"]: r for r in self.table(f"duplicates{end}")}
        assert gone.keys() == removed, (name, eps, gone.keys() ^ removed)
        kept = {r["doc"]: r for r in self.table(f"deduplicated{end}")}
        assert kept.keys() == M.keys() - removed
        for i, row in kept.items():
            assert row["note"] == self.embedded[i].note
            assert (row["deep"]["a"], row["deep"]["b"]) == self.embedded[i].deep, i
        self.check_assignment(f"assignment{end}", kept.keys(), gone, M)
        for i, row in gone.items():
            if self.overrides.get(i) != "remove":
                assert row["survivor_id"] in kept, i
                if not self.overrides:
                    last = i
                    while last in removed:
                        last = neighbor[last]
                    assert row["survivor_id"] == last, i

    def removed(self, eps, M, neighbor):
        """The paper's rule, then what people decided: where they remove a row that stands for
        others, the first of those in rank order stays in its place. ``M`` is in that order.
        """
        forced = {i for i, action in self.overrides.items() if action == "remove" and i in M}
        kept = {i for i, action in self.overrides.items() if action == "keep"}
        gone = {i for i, m in M.items() if m > 1 - eps} - kept

        def survivor(i):
            while i in gone:
                i = neighbor[i]
            return i

        groups = {i: survivor(i) for i in M if i in gone and i not in forced}
        heirs = {survivor: i for i, survivor in reversed(groups.items()) if survivor in forced}
        return (gone | forced) - set(heirs.values())

    def check_assignment(self, name, kept, gone, M):
        """One row for each that was read, as the other tables have it."""
        rows = self.table(name)
        found = {row["id"]: row for row in rows}
        assert len(rows) == len(found)
        assert found.keys() == self.embedded.keys()
        survivors = Counter(row["survivor_id"] for row in gone.values())
        for i, row in found.items():
            told = row["kept"], row["survivor_id"], row["copies"], row["reason"]
            if i in kept:
                why = "override" if self.overrides.get(i) == "keep" else "kept"
                assert told == (True, i, 1 + survivors[i], why), i
            elif i in gone:
                assert told == (False, gone[i]["survivor_id"], None, gone[i]["reason"]), i
                assert row["survivor_similarity"] == gone[i]["survivor_similarity"], i
            else:
                assert told == (False, None, None, "quarantined"), i
            if i in M:
                assert row["similarity"] == M[i], i


COMMANDS = (
    *("run", "run", "change_source", "change_source", "change_source", "kill", "kill"),
    *("embed", "try_other_clusters", "try_other_scores", "select", "restore", "forget"),
    *("prune", "recluster", "kill_select", "add_rows", "add_rows"),
)
# After these a run has something to do, though the source is as it was.
UNSETTLING = {"kill", "embed", "try_other_clusters", "try_other_scores", "prune"}


def play(spark, folder, seed, *, length=None):
    """One sequence of 1 to 3 commands, or ``length``. It ends with a run, and half of them begin
    with one: any command may be the first. Raises where a table is not as the model says.
    """
    rng = random.Random(seed)
    length = length or rng.randint(1, 3)
    world = World(spark, Path(folder), rng)
    world.retrain = rng.choice(["never", "never", "on_change"])
    world.copies_source = seed % 4 < 2
    world.change_source()
    first = ["run"] * (seed % 2)
    change = rng.choice(["change_source", "add_rows"])
    for name in [*first, *rng.choices(COMMANDS, k=length), change, "run"]:
        world.log.append(name)
        world.in_step = world.in_step and name not in UNSETTLING
        try:
            getattr(world, name)()
        except Exception as error:
            error.add_note(f"seed {seed}: {', '.join(world.log)}")
            raise
    return world.log


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--length", type=int)
    given = parser.parse_args()
    from semdedup_spark import open_session

    spark = open_session(
        {
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
            "spark.databricks.delta.snapshotPartitions": "1",
        }
    )
    began, failed, done = time.monotonic(), 0, 0
    for seed in range(given.first, given.first + given.count):
        if time.monotonic() - began > given.seconds:
            break
        with tempfile.TemporaryDirectory() as folder:
            try:
                log = play(spark, folder, seed, length=given.length)
                print(f"{seed}: {', '.join(log)}", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc()
        done += 1
    print(f"{done} sequences, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
