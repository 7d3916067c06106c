"""What training gets: each row once, with its own label, in an order that can be had again."""

from __future__ import annotations

import pickle
from collections import Counter

import pyarrow as pa
import pytest
import torch
from torch.utils.data import DataLoader

deltalake = pytest.importorskip("deltalake")

from semdedup_spark.errors import SourceError  # noqa: E402
from semdedup_spark.torch import (  # noqa: E402
    DeduplicatedDataset,
    DeduplicatedStream,
    ShardedSampler,
)
from tests.loading import loaded_after  # noqa: E402

N = 157
IDS = [f"row-{i:04d}" for i in range(N)]


def rows_of(ids):
    """The label and the payload of a row say which row it is."""
    numbers = [int(i.removeprefix("row-")) for i in ids]
    return pa.table(
        {"id": ids, "label": [n % 7 for n in numbers], "image": [f"{n}".encode() for n in numbers]}
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A table of N rows in several files; version 2 is the last one with all of them."""
    place = tmp_path_factory.mktemp("lake") / "prüned 100%"
    for start, end in ((0, 100), (100, 140), (140, N)):
        deltalake.write_deltalake(place, rows_of(IDS[start:end]), mode="append")
    deltalake.write_deltalake(place, rows_of(IDS[:5]), mode="overwrite")
    return str(place)


def stream(lake, **options):
    return DeduplicatedStream(lake, version=2, window=16, **options)


def loaded(dataset, **options):
    return list(DataLoader(dataset, batch_size=8, collate_fn=list, **options))


def flat(batches):
    return [row for batch in batches for row in batch]


def check_aligned(rows):
    for row in rows:
        number = int(row["id"].removeprefix("row-"))
        assert (row["label"], row["image"]) == (number % 7, f"{number}".encode())


def ids(rows):
    return [row["id"] for row in rows]


def test_rows_carry_how_many_rows_they_stand_for(lake, tmp_path):
    copies = {i: n % 5 + 1 for n, i in enumerate(IDS[:140])}
    removed = pa.table({"id": IDS[140:], "copies": pa.nulls(N - 140, pa.int64())})
    kept = pa.table({"id": [*copies][::-1], "copies": [*copies.values()][::-1]})
    assignment = str(tmp_path / "assignment")
    deltalake.write_deltalake(assignment, pa.concat_tables([removed, kept]))
    rows = DeduplicatedDataset(lake, version=1, columns=["label"], key="id", assignment=assignment)
    assert [row["copies"] for row in rows] == rows.copies.tolist() == [*copies.values()]
    assert rows[-1] == {"label": 139 % 7, "copies": copies["row-0139"]}
    with pytest.raises(SourceError, match="17 of 157 are not"):
        DeduplicatedDataset(lake, version=2, assignment=assignment)
    deltalake.write_deltalake(tmp_path / "other", pa.table({"doc": IDS}))
    with pytest.raises(ValueError, match="key must name"):
        DeduplicatedDataset(str(tmp_path / "other"), assignment=assignment)


def test_a_version_is_pinned_and_named(lake):
    assert len(DeduplicatedDataset(lake)) == 5
    assert DeduplicatedDataset(lake).version == 3
    assert len(DeduplicatedDataset(lake, version=1)) == 140
    assert ids(DeduplicatedDataset(lake, version=2)) == IDS
    with pytest.raises(SourceError, match="with version 9"):
        DeduplicatedDataset(lake, version=9)


def test_what_is_no_table_and_a_column_that_is_missing_are_refused(lake, tmp_path):
    with pytest.raises(SourceError, match="must be a Delta table"):
        DeduplicatedDataset(str(tmp_path))
    with pytest.raises(SourceError, match=r"lacks caption; its columns are id, label, image"):
        DeduplicatedStream(lake, columns=["image", "caption"])


@pytest.mark.parametrize("workers", [0, 3])
def test_map_style_rows_stay_with_their_labels_under_shuffling_and_workers(lake, workers):
    dataset = DeduplicatedDataset(lake, version=2)
    batches = loaded(dataset, sampler=ShardedSampler(N, seed=4), num_workers=workers)
    rows = flat(batches)
    check_aligned(rows)
    assert sorted(ids(rows)) == IDS
    assert ids(rows) != IDS


def test_the_order_of_rows_does_not_depend_on_how_the_table_was_written(lake, tmp_path):
    for start in range(0, N, 30)[::-1]:
        deltalake.write_deltalake(tmp_path / "t", rows_of(IDS[start : start + 30]), mode="append")
    assert ids(DeduplicatedDataset(str(tmp_path / "t"))) == IDS


def test_columns_and_transform_choose_what_a_row_is(lake):
    dataset = DeduplicatedDataset(
        lake, version=2, columns=["label"], transform=lambda row: row["label"] * 10
    )
    assert dataset[3] == dataset[-N + 3] == 30
    with pytest.raises(IndexError):
        dataset[N]


def test_held_rows_are_what_the_transform_makes_of_each_one_made_once(lake):
    calls = Counter()

    def transform(row):
        calls[row["id"]] += 1
        return torch.full((2,), int(row["image"])), row["label"]

    held = DeduplicatedDataset(lake, version=2, transform=transform).held()
    for _ in range(2):
        for number, (values, label) in enumerate(held):
            assert (values.tolist(), int(label)) == ([number] * 2, number % 7)
    assert calls == Counter(IDS)
    labels = DeduplicatedDataset(lake, version=2, transform=lambda row: row["label"]).held()
    assert [int(label) for (label,) in labels] == [n % 7 for n in range(N)]


@pytest.mark.parametrize("world", [1, 2, 5])
def test_ranks_share_the_rows_of_an_epoch_and_get_equally_many(world):
    parts = [list(ShardedSampler(N, rank=r, world=world, seed=1)) for r in range(world)]
    assert len({len(part) for part in parts}) == 1
    seen = Counter(row for part in parts for row in part)
    assert set(seen) == set(range(N))
    assert sum(seen.values()) - N == -N % world  # so many were seen again
    short = [list(ShardedSampler(N, rank=r, world=world, drop_last=True)) for r in range(world)]
    assert all(n == 1 for n in Counter(row for part in short for row in part).values())


def test_an_epoch_has_its_own_order_and_the_same_each_time():
    one, two = ShardedSampler(N, seed=1), ShardedSampler(N, seed=1)
    first = list(one)
    one.set_epoch(1)
    assert list(one) != first == list(two)


def test_a_sampler_goes_on_with_the_first_row_not_consumed():
    sampler = ShardedSampler(N, rank=1, world=2, seed=1)
    sampler.set_epoch(3)
    whole = list(sampler)
    fresh = ShardedSampler(N, rank=1, world=2, seed=1)
    fresh.load_state_dict(sampler.state_dict(consumed=30))
    assert len(fresh) == len(whole) - 30
    assert list(fresh) == whole[30:]
    assert list(fresh) == whole  # the next epoch is whole again
    for other in ({"seed": 2}, {"world": 4}, {"shuffle": False}, {"drop_last": True}):
        different = ShardedSampler(N, **{"seed": 1, "world": 2, **other})
        with pytest.raises(ValueError, match="same sampler"):
            different.load_state_dict(sampler.state_dict(0))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 3), (2, 2), (3, 0), (40, 0)])
def test_a_stream_gives_each_row_once_over_ranks_and_workers(lake, world, workers, shuffle):
    parts = [
        flat(loaded(stream(lake, rank=r, world=world, shuffle=shuffle), num_workers=workers))
        for r in range(world)
    ]
    rows = [row for part in parts for row in part]
    check_aligned(rows)
    assert sorted(ids(rows)) == IDS
    assert max(map(len, parts)) - min(map(len, parts)) <= max(workers, 1)


def test_a_stream_that_drops_what_is_uneven_gives_all_ranks_the_same_number(lake):
    parts = [
        flat(loaded(stream(lake, rank=r, world=2, drop_uneven=True), num_workers=2))
        for r in range(2)
    ]
    assert [len(part) for part in parts] == [N // 4 * 2] * 2
    assert len(set(ids(parts[0] + parts[1]))) == N // 4 * 4


def test_a_stream_is_shuffled_anew_each_epoch_and_the_same_each_time(lake):
    one = stream(lake, seed=5)
    first = ids(one)
    assert first != IDS
    assert ids(stream(lake, seed=5)) == first
    one.set_epoch(1)
    assert ids(one) != first
    # not only within windows: row groups change places as well
    order = [ids(stream(lake, seed=seed))[0] for seed in range(8)]
    assert any(number >= "row-0100" for number in order)


def test_a_stream_goes_on_where_its_state_was_taken(lake):
    one = stream(lake, seed=2)
    one.set_epoch(4)
    whole, state, part = ids(one), None, []
    again = stream(lake, seed=2)
    again.set_epoch(4)
    for row in again:
        part.append(row["id"])
        if len(part) == 60:
            state = pickle.loads(pickle.dumps(again.state_dict()))
            break
    fresh = stream(lake, seed=2)
    fresh.load_state_dict(state)
    assert part + ids(fresh) == whole
    assert ids(fresh) == whole  # the next epoch is whole again
    for other in ({"seed": 3}, {"shuffle": False}, {"drop_uneven": True}, {"world": 2}):
        with pytest.raises(ValueError, match="same stream"):
            stream(lake, **{"seed": 2, **other}).load_state_dict(state)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("consumed", [0, 1, 4, 7, 19])
def test_a_loader_goes_on_after_the_batches_it_gave(lake, workers, consumed):
    whole = loaded(stream(lake, seed=2), num_workers=workers)
    dataset = stream(lake, seed=2)
    dataset.resume_after(epoch=0, batches=consumed, batch_size=8, num_workers=workers)
    rest = loaded(dataset, num_workers=workers)
    assert [ids(batch) for batch in rest] == [ids(batch) for batch in whole[consumed:]]
    after = loaded(dataset, num_workers=workers)  # and the epoch after it is whole
    assert [ids(batch) for batch in after] == [ids(batch) for batch in whole]


def test_to_name_the_epoch_again_does_not_lose_the_place(lake):
    sampler = ShardedSampler(N, seed=1)
    sampler.load_state_dict({**sampler.state_dict(30), "epoch": 2})
    sampler.set_epoch(2)
    assert len(list(sampler)) == N - 30
    dataset = stream(lake, seed=2)
    dataset.resume_after(epoch=2, batches=3, batch_size=8, num_workers=0)
    dataset.set_epoch(2)
    assert len(ids(dataset)) == N - 24
    dataset.set_epoch(3)
    assert len(ids(dataset)) == N


def test_a_stream_that_was_sent_elsewhere_tells_workers_of_its_own(lake):
    copy = pickle.loads(pickle.dumps(stream(lake, seed=2)))
    living = DataLoader(copy, batch_size=8, collate_fn=list, num_workers=2, persistent_workers=True)
    first = ids(flat(living))
    copy.set_epoch(1)
    assert ids(flat(living)) != first


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_that_persist_hear_of_a_new_epoch_and_of_where_to_go_on(lake, context):
    dataset = stream(lake, seed=2)
    living = DataLoader(
        dataset,
        batch_size=8,
        collate_fn=list,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=context,
    )
    fresh = stream(lake, seed=2)
    for epoch in (0, 1, 4):
        dataset.set_epoch(epoch)
        fresh.set_epoch(epoch)
        assert ids(flat(living)) == ids(flat(loaded(fresh, num_workers=2)))
    dataset.resume_after(epoch=4, batches=3, batch_size=8, num_workers=2)
    assert ids(flat(living)) == ids(flat(loaded(fresh, num_workers=2)[3:]))
    assert ids(flat(living)) == ids(flat(loaded(fresh, num_workers=2)))  # the whole epoch again


def test_a_dataset_can_be_sent_to_processes_that_are_not_forked(lake):
    copy = pickle.loads(pickle.dumps(stream(lake)))
    assert ids(copy) == ids(stream(lake))
    batches = loaded(stream(lake), num_workers=1, multiprocessing_context="spawn")
    assert ids(flat(batches)) == ids(copy)


def test_training_needs_no_spark():
    code = (
        "import semdedup_spark.torch as t; t.DeduplicatedStream; t.DeduplicatedDataset; "
        "t.ShardedSampler"
    )
    assert loaded_after(code, ("pyspark", "delta")).strip() == "[]"
