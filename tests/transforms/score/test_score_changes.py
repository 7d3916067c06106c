"""Night after night, without Spark: new rows are scored, old ones leave, the rest stays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.assign import OneLevel
from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.score.borders import Prober, Probing
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline.stages.compare_plan import plan_targets
from semdedup_spark.transforms.arrow import to_lists
from semdedup_spark.transforms.cluster.centroid_source import CentroidsInClosure
from semdedup_spark.transforms.score.compare_broadcast import (
    packed_streams,
    scores_by_each_other,
    scores_by_others,
    visited,
)
from semdedup_spark.transforms.score.compare_units import UnitComparer
from semdedup_spark.transforms.score.comparison import (
    AgainstReference,
    Broadcast,
    Comparison,
    Targets,
    Units,
)
from semdedup_spark.transforms.score.packed_rows import PackedTargets
from semdedup_spark.transforms.score.route import Router
from semdedup_spark.transforms.score.survey import members_and_visits
from tests.kernels.score.test_borders import make
from tests.oracle import brute_force


@dataclass
class Tables:
    """``rows``: id to (batch, vector); ``scores``: id to (M, neighbor)."""

    centroids: np.ndarray
    probing: Probing | None
    rank_by: str
    rows: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)
    since: int = -1
    sent: bool = False  # targets to the rows, instead of rows to units
    limits: dict = field(default_factory=dict)  # of plan_targets

    def order(self):
        """Ids in rank order, as ``ORDER BY batch, rank_key, id`` gives it."""
        ids = list(self.rows)
        near = assign(np.array([self.rows[i][1] for i in ids]), self.centroids).similarity
        key = {
            i: {"low": m, "high": -m}.get(self.rank_by, rank_of(i))
            for i, m in zip(ids, near, strict=True)
        }
        return sorted(ids, key=lambda i: (self.rows[i][0], key[i], i))

    def night(self, new, gone, *, batch_rows, unit_rows):
        """``new``: id to vector, also of ids that are there, which then count as changed."""
        batch = self.since + 1
        gone = {i for i in {*gone, *new} if i in self.rows}
        self.rows = {i: row for i, row in self.rows.items() if i not in gone}
        self.rows |= {i: (batch, x) for i, x in new.items()}
        left = {i for i, (_, other) in self.scores.items() if other in gone and i not in gone}
        self.scores = {i: known for i, known in self.scores.items() if i not in gone | left}
        self.since = batch
        targets = left | set(new)
        if targets:
            found = self.compare(targets, batch_rows, unit_rows)
            assert found.keys() == targets
            self.scores |= found

    def compare(self, targets, batch_rows, unit_rows):
        how = compared_where_read if self.sent else compared
        return how(self, targets, batch_rows, unit_rows)


def planned(tables, ids, targets, unit_rows, others_only):
    """How the targets meet the others in units."""
    X = np.array([tables.rows[i][1] for i in ids], dtype=np.float32)
    wanted = np.array([i in targets for i in ids])
    k = len(tables.centroids)
    sizes = np.bincount(assign(X, tables.centroids).labels, minlength=k).astype(float)
    alone = tables.probing is None or tables.probing.budget is None
    prober = None
    if tables.probing is not None:
        prober = Prober(
            tables.centroids,
            eps_max=tables.probing.eps_max,
            budget=tables.probing.budget,
            alone=alone,
        )
    members, visits = members_and_visits(X[wanted], OneLevel(tables.centroids), prober)
    plan, everything = plan_targets(
        sizes, members, visits, tables.probing, unit_rows=unit_rows, **tables.limits
    )
    keys = np.arange(plan.n_units, dtype=np.int32)
    source = CentroidsInClosure.of(tables.centroids)
    comparison = Comparison(source, tables.rank_by, tables.probing, everything)
    scope = AgainstReference(len(targets)) if others_only else Targets(len(targets))
    met = members + visits > 0 if alone and not everything else None
    return comparison, scope, Units(plan, keys, 1, met)


def compared(tables, targets, batch_rows, unit_rows, *, others_only=False):
    ids = sorted(tables.rows, key=rank_of)  # any order
    comparison, scope, carrier = planned(tables, ids, targets, unit_rows, others_only)
    units = defaultdict(list)
    for batch in in_batches(tables, ids, targets, batch_rows):
        for packed in Router(comparison, scope, carrier).route(batch):
            for row in range(packed.num_rows):
                units[packed.column(0)[row].as_py()].append(packed.slice(row, 1))
    unit = UnitComparer(comparison.within_units(), others_only)
    return merged(unit.compare(pa.Table.from_batches(packed)) for packed in units.values())


def in_batches(tables, ids, targets, batch_rows):
    """The rows with these ids as the UDFs see them."""
    for start in range(0, len(ids), batch_rows):
        part = ids[start : start + batch_rows]
        X = np.array([tables.rows[i][1] for i in part], dtype=np.float32)
        labels = assign(X, tables.centroids).labels
        known = [rank_of(i) % 3 > 0 for i in part]
        labels[[i in targets for i in part]] = 0  # what they had before may be wrong
        line = {
            "id": pa.array(part),
            "embedding": to_lists(X),
            "batch": pa.array([tables.rows[i][0] for i in part], pa.int32()),
            "target": pa.array([i in targets for i in part]),
            "label": pa.array(labels, mask=~np.array(known)),
            "__rank_0": pa.array([rank_of(i) for i in part], pa.int64()),
        }
        yield pa.RecordBatch.from_pydict(line)


def compared_where_read(tables, targets, batch_rows, unit_rows, *, others_only=False, n_tasks=2):
    """As the jobs of ``compare_where_read`` do it: others in ``n_tasks``, targets in one."""
    ids = sorted(tables.rows, key=rank_of)  # any order
    comparison, scope, units = planned(tables, ids, targets, unit_rows, others_only)
    k = len(tables.centroids)
    wanted = [i for i in ids if i in targets]
    batches = list(in_batches(tables, wanted, targets, batch_rows))
    halves = batches[::2], batches[1::2]
    sent = PackedTargets(
        tuple(s for half in halves for s in packed_streams(half, comparison, scope))
    )
    assert comparison.all_with_all or (visited(sent, k) == units.met).all()
    carrier = Broadcast(sent, Units.single(comparison, units.met), unit_rows)
    others = [i for i in ids if i not in targets]
    lines = [scores_by_each_other(comparison.within_units(), scope, carrier)]
    for turn in range(n_tasks):
        batches = in_batches(tables, others[turn::n_tasks], targets, batch_rows)
        lines += scores_by_others(batches, comparison, scope, carrier)
    return merged(lines)


def unit_rows_of(X):
    return unit_rows(X.astype(np.float32)).X


def instances(rows, width, clusters, eps_max):
    """What ``make`` takes: a seed, and numbers in these ranges."""
    return st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(*rows),
        st.integers(*width),
        st.integers(*clusters),
        st.sampled_from(eps_max),
    )


def rank_of(i):
    return (i * 7919) % 101


def merged(tables_of_lines):
    """As ``merge_units``: the best line of a row; of equal ones the neighbor that ranks first."""
    best = {}
    for lines in tables_of_lines:
        for line in lines.to_pylist():
            if line["id"] is None:
                continue
            earlier = (line["neighbor_batch"], line["neighbor_rank_key"], line["neighbor_id"])
            key = (-line["max_similarity"], *(earlier if line["neighbor_id"] is not None else ()))
            if line["id"] not in best or key < best[line["id"]]:
                best[line["id"]] = key
    return {i: (-key[0], key[-1] if len(key) > 1 else None) for i, key in best.items()}


def check(tables):
    """The scores are those of one run over all rows, in their order."""
    ids = tables.order()
    X = np.array([tables.rows[i][1] for i in ids], dtype=np.float32)
    labels = None if tables.probing else assign(X, tables.centroids).labels
    M, neighbor = brute_force(X, labels)
    horizon = 1 - tables.probing.eps_max if tables.probing else 0.0
    for j, i in enumerate(ids):
        found, by = tables.scores[i]
        if abs(M[j] - horizon) < 1e-5 and tables.probing:
            continue
        expected = M[j] if M[j] > horizon else 0.0
        assert abs(found - expected) < 2e-6, (i, found, expected)
        if expected > 1e-5:  # of similarities that are equal to rounding either may win
            place = ids.index(by)
            assert place < j
            assert abs(float(X[place] @ X[j]) - expected) < 2e-6
            if M[j] == 1.0 and (X[neighbor[j]] == X[j]).all():
                assert by == ids[neighbor[j]]


@given(
    instances((5, 40), (1, 5), (1, 8), [0.001, 0.01, 0.1, 0.9]),
    st.sampled_from(["cluster", "exact"]),
    st.sampled_from(["low", "high", "random"]),
    st.integers(2, 5),
    st.integers(3, 40),
    st.integers(4, 60),
    st.booleans(),
)
@settings(max_examples=200)
def test_any_nights_leave_the_scores_of_one_run(
    instance, recall, rank_by, n_nights, batch_rows, unit_rows, sent
):
    X, centroids = make(*instance)
    rng = np.random.default_rng(instance[0])
    probing = Probing(instance[-1]) if recall == "exact" else None
    tables = Tables(centroids, probing, rank_by, sent=sent)
    night = rng.integers(0, n_nights, len(X))
    for turn in range(n_nights):
        new = {int(i): X[i] for i in np.flatnonzero(night == turn)}
        there = list(tables.rows)
        changed = [i for i in there if rng.random() < 0.1]
        new |= {i: X[rng.integers(0, len(X))] for i in changed}
        gone = [i for i in there if rng.random() < 0.2]
        if not new.keys() | (set(there) - set(gone)):
            continue
        tables.night(new, gone, batch_rows=batch_rows, unit_rows=unit_rows)
        if tables.rows:
            check(tables)


@given(
    instances((5, 40), (1, 5), (1, 8), [0.01, 0.1, 0.9]),
    st.sampled_from(["cluster", "exact"]),
    st.integers(3, 40),
    st.integers(4, 60),
    st.sampled_from([compared, compared_where_read]),
)
def test_rows_compared_with_a_reference_find_its_best_row_and_no_other(
    instance, recall, batch_rows, unit_rows, how
):
    X, centroids = make(*instance)
    wanted = np.random.default_rng(instance[0]).random(len(X)) < 0.5
    tables = Tables(centroids, Probing(instance[-1]) if recall == "exact" else None, "random")
    tables.rows = {i: (0 if wanted[i] else -1, x) for i, x in enumerate(X)}
    targets = set(np.flatnonzero(wanted).tolist())
    found = how(tables, targets, batch_rows, unit_rows, others_only=True) if targets else {}
    assert found.keys() == targets
    labels = assign(X, centroids).labels
    horizon = 1 - instance[-1] if tables.probing else 0.0
    for j, (similarity, neighbor) in found.items():
        rivals = [i for i in np.flatnonzero(~wanted) if tables.probing or labels[i] == labels[j]]
        best = max([0.0, *(min(float(X[i] @ X[j]), 1.0) for i in rivals)])
        if abs(best - horizon) < 1e-5:
            continue
        assert abs(similarity - (best if best > horizon else 0.0)) < 2e-6
        assert neighbor is None or neighbor in rivals


@given(
    instances((20, 120), (2, 40), (1, 4), [0.01, 0.1, 0.9]),
    st.sampled_from(["cluster", "exact"]),
    st.integers(3, 60),
    st.integers(4, 200),
    st.integers(1, 5),
)
def test_what_lies_together_in_a_task_changes_no_bit_of_a_score(
    instance, recall, batch_rows, unit_rows, n_tasks
):
    X, centroids = make(*instance)
    rng = np.random.default_rng(instance[0])
    # Many that are nearly equal: float32 products cannot tell which of them is nearest.
    X = unit_rows_of(X[rng.integers(0, 4, len(X))] + rng.normal(0, 3e-4, X.shape))
    tables = Tables(centroids, Probing(instance[-1]) if recall == "exact" else None, "random")
    tables.rows = {i: (int(i % 3 == 0), x) for i, x in enumerate(X)}
    targets = {i for i in tables.rows if i % 3 == 0}
    whole = compared_where_read(tables, targets, 1000, 1000, n_tasks=1)
    parts = compared_where_read(tables, targets, batch_rows, unit_rows, n_tasks=n_tasks)
    assert whole == parts


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("parts", [1, 3, 16])
def test_targets_that_would_meet_most_rows_are_compared_with_all(parts, sent):
    X, centroids = make(3, 60, 3, 7)
    tables = Tables(centroids, Probing(0.3), "low", sent=sent)
    tables.limits = {"fewest_parts": parts, "most_met": 0.0}
    for turn in range(3):
        new = {i: X[i] for i in range(turn, 60, 3)}
        tables.night(new, {turn + 6}, batch_rows=9, unit_rows=1000)
        check(tables)


def test_clusters_that_no_target_meets_send_no_rows():
    centroids = np.eye(4, dtype=np.float32)
    plan, everything = plan_targets(
        np.full(4, 10.0),
        np.array([1, 0, 0, 0]),
        np.zeros(4, int),
        None,
        unit_rows=100,
    )
    assert not everything
    met = np.array([True, False, False, False])
    units = Units(plan, np.arange(plan.n_units, dtype=np.int32), 1, met)
    router = Router(Comparison(CentroidsInClosure.of(centroids), "low"), Targets(1), units)
    X = np.repeat(centroids, 10, axis=0) + 0.01 * np.arange(40)[:, None].astype(np.float32)
    X /= np.linalg.norm(X, axis=1)[:, None]
    line = {
        "id": pa.array(range(40)),
        "embedding": to_lists(X),
        "batch": pa.array([0] * 39 + [1], pa.int32()),
        "target": pa.array([False] * 39 + [True]),
    }
    sent = [
        i
        for packed in router.route(pa.RecordBatch.from_pydict(line))
        for some in packed.column("id").to_pylist()
        for i in some
    ]
    labels = assign(X, centroids).labels
    assert sorted(sent) == sorted({*np.flatnonzero(labels == 0).tolist(), 39})
